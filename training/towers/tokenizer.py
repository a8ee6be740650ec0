"""A tokenizer learned again from one's own reports, and what of the old embeddings it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from training.errors import TrainingError

TOKENIZER_NAME: Final = "tokenizer.json"


def open_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers has no types
    """The tokenizer of a Hugging Face folder.

    Raises:
        TrainingError: the folder has no tokenizer.json.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415 - seconds, and only here

    if not (folder / TOKENIZER_NAME).is_file():
        raise TrainingError(
            f"{folder} has no {TOKENIZER_NAME}: a text tower needs its tokenizer; save it there with "
            "transformers' save_pretrained of a fast tokenizer."
        )
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def retrained(tokenizer: Any, texts: Sequence[str], vocabulary_size: int) -> Any:  # noqa: ANN401
    """A tokenizer of the same kind whose vocabulary is learned from these texts.

    Raises:
        TrainingError: there is no text.
    """
    if not texts:
        raise TrainingError("No text is there to learn a tokenizer from: name text fields that are filled.")
    return tokenizer.train_new_from_iterator(iter(texts), vocabulary_size, show_progress=False)


def carry_embeddings(model: nn.Module, old: Any, new: Any) -> int:  # noqa: ANN401
    """Give a model the new vocabulary; kept tokens keep their embedding.

    A new token begins as the mean of the old tokens that its text was cut into, or of all where the old
    tokenizer knows none of it.

    Returns:
        How many tokens were kept.

    Source:
        The mean of the pieces: Gee et al., "Fast Vocabulary Transfer for Language Model Compression",
        EMNLP 2022 (Industry Track), section 3.
    """
    was: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]  # of transformers
    weights = was.weight.detach()
    old_ids, new_ids = old.get_vocab(), new.get_vocab()
    carried = weights.mean(dim=0).repeat(len(new), 1)
    kept = 0
    for token, index in new_ids.items():
        if token in old_ids:
            carried[index] = weights[old_ids[token]]
            kept += 1
        elif pieces := _pieces(old, new.convert_tokens_to_string([token]).replace("##", "")):
            carried[index] = weights[pieces].mean(dim=0)
    padding = new.pad_token_id
    model.set_input_embeddings(  # type: ignore[operator]  # of transformers
        nn.Embedding.from_pretrained(carried, freeze=False, padding_idx=padding)
    )
    configuration: Any = model.config
    configuration.vocab_size = len(new)
    configuration.pad_token_id = padding
    return kept


def save_tokenizer(tokenizer: Any, folder: Path) -> None:  # noqa: ANN401
    """Write tokenizer.json and its configuration."""
    tokenizer.save_pretrained(folder)


def token_tensors(
    tokenizer: Any,  # noqa: ANN401
    texts: Sequence[str],
    max_tokens: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """input_ids and attention_mask, int64 (n, tokens), padded to the longest, cut at `max_tokens`."""
    found = tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return found["input_ids"], found["attention_mask"]


def _pieces(old: Any, text: str) -> list[int]:  # noqa: ANN401
    unknown = old.unk_token_id
    return [i for i in old(text, add_special_tokens=False)["input_ids"] if i != unknown]
