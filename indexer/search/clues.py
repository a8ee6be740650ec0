"""Clues: what a match is held against, each with vectors of one encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from indexer.domain import SeriesAttributes, SeriesEmbedding, SeriesReference
from indexer.ports import TextEmbedding

Role = Literal["example", "more", "less", "text"]


@dataclass(frozen=True, slots=True)
class Clue:
    """One series of the example, one chosen case, or the text.

    `embedding` carries the vectors that are compared. That of a text has no frames and names no series.
    """

    role: Role
    embedding: SeriesEmbedding


def clues_of(embeddings: Iterable[SeriesEmbedding], role: Role) -> list[Clue]:
    """A clue for each series."""
    return [Clue(role, embedding) for embedding in embeddings]


def clue_of_text(text: TextEmbedding) -> Clue:
    """The text as a clue: one row, of no series."""
    vector = np.asarray(text.vector, dtype=np.float32)
    return Clue(
        "text",
        SeriesEmbedding(
            reference=SeriesReference("", "", ""),
            attributes=SeriesAttributes(),
            encoder=text.encoder,
            frames=(),
            vector=vector,
            frame_vectors=vector[None, :],
        ),
    )
