"""The text side of an image-text model as text.onnx and tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from indexer.domain import Vector
from inference.card import EncoderError
from training.export.graph import export_graph

TEXT_EMBEDDING: Final = "text_embedding"
SENTENCES: Final = (
    "Normal chest radiograph.",
    "CT of the abdomen",
    "A round mass of 2 cm in the left breast, with irregular margins and posterior shadowing.",
    "No evidence of pneumothorax; the heart is of normal size, the costophrenic angles are sharp.",
    "T2",
    "Radiographie du thorax de face sans anomalie.",
)
_TRACED_TOKENS: Final = 7


@dataclass(frozen=True, slots=True)
class TextSource:
    """What text.onnx and tokenizer.json are made of.

    Attributes:
        module: int64 (n, tokens) input_ids and attention_mask to (n, dimension) of the image embeddings'
            space; what is masked does not change the answer.
        tokenizer: the text of a tokenizer.json.
        max_tokens: what is longer is cut.
        languages: ISO 639-1.
    """

    module: nn.Module
    tokenizer: str
    max_tokens: int
    languages: tuple[str, ...] = ("en",)

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """input_ids and attention_mask (n, tokens), padded with 0 as the product does.

        Raises:
            EncoderError: the tokenizer cannot be read.
        """
        try:
            tokenizer = Tokenizer.from_str(self.tokenizer)
        except Exception as error:  # tokenizers raises a plain Exception
            raise EncoderError(f"The text tower's tokenizer.json cannot be read: {error}") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        encoded = [found.ids for found in tokenizer.encode_batch(list(texts))]
        ids = np.zeros((len(encoded), max(map(len, encoded))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, found in enumerate(encoded):
            ids[row, : len(found)], mask[row, : len(found)] = found, 1
        return ids, mask


def text_graph(source: TextSource) -> onnx.ModelProto:
    """The graph, with free batch and token dimensions. Raises EncoderError when torch cannot express it."""
    ids = torch.ones(2, min(_TRACED_TOKENS, source.max_tokens), dtype=torch.int64)
    n, tokens = torch.export.Dim("n"), torch.export.Dim("tokens", min=1, max=source.max_tokens)
    free = {0: n, 1: tokens}
    return export_graph(
        TextOutput(source.module),
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        (TEXT_EMBEDDING,),
        {"input_ids": free, "attention_mask": free},
    )


class TextOutput(nn.Module):
    """The text tower with its two inputs by the names that the product gives them."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """int64 (n, tokens) each to (n, dimension)."""
        return cast("torch.Tensor", self.tower(input_ids, attention_mask))


def torch_text_embeddings(source: TextSource, feed: Mapping[str, Any]) -> Vector:
    """What the module itself answers, float32 (n, d)."""
    source.module.eval()
    with torch.no_grad():
        answer = source.module(*(torch.from_numpy(feed[name]) for name in ("input_ids", "attention_mask")))
    return np.asarray(answer.float().numpy(), dtype=np.float32)
