"""How far a score may be believed: how many pairs are less alike, and when to show nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.domain import (
    Candidate,
    EncoderVersion,
    Pairs,
    Refusal,
    SeriesAttributes,
    SeriesEmbedding,
)
from indexer.errors import NotIndexed, Rejected
from indexer.ledger import Background, State
from indexer.search.knowing import Known
from indexer.search.ranking import RankedStudy

FEWEST_NEAREST: Final = 20
RARELY: Final = 0.01
"""Of the series of an archive, so many have their nearest neighbour farther away than chance may be."""
CHANCE: Final = 0.05
"""Of random pairs, so many are less alike than that which counts as no nearer than chance."""

_DAMAGED: Final = (
    "The image cannot be read: its pixel data are damaged or cut short. Send it again from where it was "
    "made, or ask with another series."
)
_COMPRESSED: Final = (
    "The image is compressed in a way that is not read here. Send it uncompressed (Explicit VR Little "
    "Endian), or ask with another series."
)
REFUSED: Final[Mapping[str, str]] = {
    "no_encoder": "Images of this modality cannot be compared here: no encoder takes them. Ask with another "
    "series, or have an encoder for this modality activated.",
    "blank_frame": "The image shows nothing: all of it has one grey level. Ask with another image.",
    "degenerate_vector": "The encoder sees nothing in this image that could be compared. Ask with another "
    "image of the study.",
    "no_finite_pixel": "The image shows nothing: no pixel has a value. Ask with another image.",
    "truncated_pixel_data": _DAMAGED,
    "undecodable_pixel_data": _DAMAGED,
    "transfer_syntax_mismatch": _DAMAGED,
    "invalid_header": _DAMAGED,
    "invalid_palette": _DAMAGED,
    "decoder_crashed": _DAMAGED,
    "decode_timeout": _DAMAGED,
    "unsupported_transfer_syntax": _COMPRESSED,
    "missing_decoder": _COMPRESSED,
}
"""Reasons for which an example is answered with a refusal instead of an error, and what is said then.

It was understood what is asked; there is nothing that could be compared.
"""


def nothing(*_: object) -> None:
    """Where nothing is known of backgrounds or encoders."""
    return


def _one(*_: object) -> int:
    return 1


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
        """The refusal that an error stands for; None where it is an error of the asker, or will pass."""
        if isinstance(error, NotIndexed) and error.state not in (State.SKIPPED, State.FAILED):
            return None
        message = REFUSED.get(error.reason)
        return None if message is None else Refusal(error.reason, message)

    def of_ranked(
        self,
        example: Sequence[SeriesEmbedding],
        ranked: Sequence[RankedStudy],
        *,
        frames_of: Callable[[Candidate, EncoderVersion], int] = _one,
    ) -> Refusal | None:
        """Why no case is shown for an example; None where its cases may be shown.

        An example is refused when all its series are: one that can be answered is answered.

        Args:
            example: its series.
            ranked: what was found for them in the whole archive: that the rest is far away, where a filter
                left something out, says nothing of the example.
            frames_of: how many frames a series that was found has. Chance is known of whole series: a part
                of one is not judged by it.
        """
        refusals = [self._of_series(series, _best(series, ranked), frames_of) for series in example]
        if not refusals or None in refusals:
            return None
        return refusals[0]

    def percent(self, encoder: EncoderVersion, attributes: SeriesAttributes, score: float) -> float | None:
        """How many percent of the pairs of this modality and body part are less alike than `score`.

        Between two quantiles it is interpolated. It is never 100: of n pairs, none that was more alike says
        no more than n / (n + 1). None while there are too few pairs.
        """
        background = self._background(encoder, attributes)
        if background is None:
            return None
        scores, first = np.unique(background.quantiles, return_index=True)
        share = float(np.interp(score, scores, first / max(len(background.quantiles) - 1, 1)))
        return 100.0 * min(share, background.pairs / (background.pairs + 1))

    def pairs_of(self, encoder: EncoderVersion, attributes: SeriesAttributes) -> Pairs:
        """Which pairs `percent` compares with."""
        background = self._background(encoder, attributes)
        if background is None or background.body_part_examined:
            return "body_part"
        return "modality" if background.modality else "archive"

    def _of_series(
        self,
        series: SeriesEmbedding,
        best: Candidate | None,
        frames_of: Callable[[Candidate, EncoderVersion], int],
    ) -> Refusal | None:
        known, background = self.known(series.encoder), self._background(series.encoder, series.attributes)
        is_outsider = known is not None and known.is_outsider(series)
        if known is not None and is_outsider and not _is_close(best, known.close_to(series)):
            return Refusal(
                reason="unknown_to_encoder",
                message="This does not look like the images that the search was made for, and no case of "
                "this archive is like it. Check that the right series was sent; a kind of image that "
                f"{series.encoder.name} does not know needs another encoder.",
            )
        if best is None or background is None or not _is_chance(best, background):
            return None
        if known is not None and not is_outsider and _is_same_kind(series.attributes, best.attributes):
            return None
        if not series.compares_whole(frames_of(best, series.encoder) if series.extent == "sent" else 0):
            return None
        return Refusal(
            reason="no_nearer_than_chance",
            message="Nothing in this archive is like it: the nearest case is no nearer than two cases taken "
            "at random. Ask with another series, or once more such cases are indexed.",
        )

    def _background(self, encoder: EncoderVersion, attributes: SeriesAttributes) -> Background | None:
        found = self.background(encoder, attributes.modality, attributes.body_part_examined)
        return found if found is not None and found.pairs and len(found.quantiles) else None


def _best(series: SeriesEmbedding, ranked: Sequence[RankedStudy]) -> Candidate | None:
    """What was found that is most like this series."""
    found = [
        vote.candidate
        for study in ranked
        for vote in study.votes
        if vote.clue.role == "example" and vote.clue.embedding.reference == series.reference
    ]
    return max(found, key=lambda candidate: candidate.score, default=None)


def _is_close(best: Candidate | None, least: float) -> bool:
    """Whether an outsider is at home in this archive all the same."""
    return best is not None and best.score >= least


def _is_chance(best: Candidate, background: Background) -> bool:
    """Whether pairs that have nothing to do with each other are nearly all more alike than these two.

    And whether next to no series of the archive has its nearest neighbour so far away.
    """
    if len(background.nearest) < FEWEST_NEAREST:
        return False
    chance = float(np.quantile(background.quantiles, CHANCE))
    return best.score < min(chance, float(np.quantile(background.nearest, RARELY)))


def _is_same_kind(left: SeriesAttributes, right: SeriesAttributes) -> bool:
    parts = {left.body_part_examined, right.body_part_examined} - {""}
    return left.modality == right.modality and len(parts) <= 1
