"""Clues: what a match is held against, each with vectors of one encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from indexer.domain import SeriesAttributes, SeriesEmbedding, SeriesReference
from indexer.ports import TextEmbedding

Role = Literal["example", "more", "less", "text"]

MOST_SERIES: Final = 12
"""Series of the example that are compared: each costs up to four questions to the index."""
MOST_OF_A_CASE: Final = 3
"""Series of a chosen case that are compared, where it was chosen as a study."""


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


def most_telling(series: Sequence[SeriesEmbedding], most: int) -> tuple[SeriesEmbedding, ...]:
    """At most so many series, in their order.

    One of each modality, sequence and plane first, then others; of equals those with the most frames.
    """
    by_frames = sorted(range(len(series)), key=lambda place: -len(series[place].frames))
    kinds: dict[tuple[str, str, str], int] = {}
    for place in by_frames:
        attributes = series[place].attributes
        kinds.setdefault((attributes.modality, attributes.sequence, attributes.plane), place)
    first = list(kinds.values())
    chosen = [*first, *(place for place in by_frames if place not in first)][:most]
    return tuple(series[place] for place in sorted(chosen))


def of_a_case(cases: int) -> int:
    """How many series of each chosen case are compared: fewer where many cases are chosen."""
    return max(1, min(MOST_OF_A_CASE, MOST_SERIES // max(cases, 1)))


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
