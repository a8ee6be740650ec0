"""How far a score may be believed: how many pairs are less alike, and when to show nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.domain import EncoderVersion, Refusal, SeriesAttributes, SeriesEmbedding, Vector
from indexer.errors import Rejected
from indexer.search.ranking import RankedStudy

REFUSED: Final = frozenset({"no_encoder", "blank_frame", "degenerate_vector"})
"""Reasons for which an example is answered with a refusal instead of an error: it was understood."""


@dataclass(frozen=True, slots=True)
class Background:
    """How alike two series are that have nothing to do with each other.

    Attributes:
        modality: of the series that were compared; "" is all of them.
        body_part_examined: the same.
        pairs: how many pairs of different patients were compared.
        quantiles: float32 (n,), ascending: the scores of those pairs at n equal steps from the least to
            the largest.
        nearest: the same of each sampled series and the nearest one of another patient; empty when unknown.
    """

    modality: str
    body_part_examined: str
    pairs: int
    quantiles: Vector
    nearest: Vector


@dataclass(frozen=True, slots=True)
class Known:
    """What an encoder knows: unit rows float32 (k, d) that stand for what it was trained and tested on.

    A frame whose best cosine with them is below `least` is an outsider.
    """

    prototypes: Vector
    least: float


def nothing(*_: object) -> None:
    """Where nothing is known of backgrounds or encoders."""
    return


@dataclass(frozen=True, slots=True)
class Judge:
    """Percentages and refusals.

    Attributes:
        background: of an encoder, a modality and a body part, the narrowest that has enough pairs; None
            while there is none.
        known: what an encoder knows; None where its folder does not say.
    """

    background: Callable[[EncoderVersion, str, str], Background | None] = nothing
    known: Callable[[EncoderVersion], Known | None] = nothing

    def refusal_of(self, error: Rejected) -> Refusal | None:
        """The refusal that an error stands for; None where it is an error of the asker."""
        return Refusal(error.reason, str(error)) if error.reason in REFUSED else None

    def of_example(self, example: Sequence[SeriesEmbedding]) -> Refusal | None:
        """Why the example is outside what its encoders know; None where it is inside."""
        return None

    def of_ranked(self, ranked: Sequence[RankedStudy]) -> Refusal | None:
        """Why the nearest studies are no nearer than chance; None where one is."""
        return None

    def percent(self, encoder: EncoderVersion, attributes: SeriesAttributes, score: float) -> float | None:
        """How many percent of the pairs of this modality and body part are less alike than `score`."""
        return None
