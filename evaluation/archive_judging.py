"""A made archive of single frames, judged as the search judges its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import (
    Candidate,
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from indexer.following.calibrating import FEWEST_STUDIES, STEPS, pair_scores
from indexer.ledger import Background
from indexer.search.clues import Clue
from indexer.search.judging import Judge
from indexer.search.knowing import Known
from indexer.search.polling import Vote
from indexer.search.ranking import RankedStudy

DRAWN: Final = 150
NEIGHBOURS: Final = 60
_CHUNK: Final = 512
_NONE: Final = -1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What became of examples that were asked with, one value each.

    Attributes:
        nearest: the score of the best match, in [-1, 1].
        known_by: how well the encoder knows the example; None where it does not say.
        margin: how far the example is inside of what is answered: known by more than the least, or near to
            somebody by more than what counts as close, whichever is more; None as before.
        percent: how many percent of the pairs are less alike than example and best match; NaN where unknown.
        refused: whether the archive refuses it.
        refused_empty: whether an empty archive does.
        match: the place of the best match in the archive; -1 where there is none.
    """

    nearest: NDArray[np.float64]
    known_by: NDArray[np.float64] | None
    margin: NDArray[np.float64] | None
    percent: NDArray[np.float64]
    refused: NDArray[np.bool_]
    refused_empty: NDArray[np.bool_]
    match: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class JudgedArchive:
    """Images as series of one frame, of which each subject is a patient, with the judge over them."""

    vector: Vector
    subject: NDArray[np.str_]
    attributes: tuple[SeriesAttributes, ...]
    known: Known | None
    judge: Judge

    @classmethod
    def of(
        cls,
        vector: Vector,
        subject: Sequence[str],
        attributes: tuple[SeriesAttributes, ...],
        known: Known | None,
        seed: int,
    ) -> JudgedArchive:
        """Measure its backgrounds as an installation would, from samples of the same kind."""
        own = np.array(subject)
        bare = cls(vector, own, attributes, known, Judge())
        backgrounds = bare._backgrounds(seed)

        def narrowest(_: EncoderVersion, modality: str, body_part: str) -> Background | None:
            keys = ((modality, body_part), (modality, ""), ("", ""))
            return next((backgrounds[key] for key in keys if key in backgrounds), None)

        return cls(vector, own, attributes, known, Judge(background=narrowest, known=lambda _: known))

    def answers(
        self, vector: Vector, subject: Sequence[str], attributes: Sequence[SeriesAttributes]
    ) -> Found:
        """Ask with each of n unit rows; a subject's own images are never its match."""
        nearest, match = self._nearest(vector, np.array(subject))
        examples = [_series(row, n, attributes[n]) for n, row in enumerate(vector)]
        refused, empty, percent = [], [], []
        for series, score, place in zip(examples, nearest, match, strict=True):
            ranked = () if place < 0 else (self._study(series, float(score), int(place)),)
            refused.append(self.judge.of_ranked([series], ranked) is not None)
            empty.append(self.judge.of_ranked([series], ()) is not None)
            told = None
            if place >= 0:
                told = self.judge.percent(series.encoder, self.attributes[int(place)], float(score))
            percent.append(np.nan if told is None else told)
        known_by = margin = None
        if self.known is not None:
            known_by = self.known.known_by(vector).astype(np.float64)
            close = np.array([self.known.close_to(series) for series in examples])
            margin = np.maximum(known_by - self.known.least, nearest - close)
        return Found(
            nearest=nearest,
            known_by=known_by,
            margin=margin,
            percent=np.array(percent, dtype=np.float64),
            refused=np.array(refused, dtype=bool),
            refused_empty=np.array(empty, dtype=bool),
            match=match,
        )

    def _nearest(
        self, vector: Vector, subject: NDArray[np.str_]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        scores, places = np.full(len(vector), _NONE), np.full(len(vector), -1, dtype=np.intp)
        for start in range(0, len(vector), _CHUNK):
            some = slice(start, start + _CHUNK)
            alike = vector[some] @ self.vector.T
            alike[subject[some][:, None] == self.subject[None, :]] = _NONE
            best = alike.argmax(axis=1)
            scores[some] = alike[np.arange(len(best)), best]
            places[some] = np.where(scores[some] > _NONE, best, -1)
        return scores, places

    def _backgrounds(self, seed: int) -> Mapping[tuple[str, str], Background]:
        groups: Counter[tuple[str, str]] = Counter({("", ""): len(self.vector)})
        for one in self.attributes:
            groups.update({(one.modality, ""), (one.modality, one.body_part_examined)})
        found: dict[tuple[str, str], Background] = {}
        for (modality, body_part), number in sorted(groups.items()):
            if number < FEWEST_STUDIES:
                continue
            wider = found.get((modality, "")) if body_part else None
            background = self._background(modality, body_part, seed, wider)
            if background is not None:
                found[modality, body_part] = background
        return found

    def _background(
        self, modality: str, body_part: str, seed: int, wider: Background | None
    ) -> Background | None:
        """That of one group; the nearest neighbours of a body part are those of its modality."""
        own = [
            n
            for n, one in enumerate(self.attributes)
            if modality in ("", one.modality) and body_part in ("", one.body_part_examined)
        ]
        drawn = np.random.default_rng(seed).permutation(own)[:DRAWN]
        series = [_series(self.vector[n], int(n), self.attributes[n], str(self.subject[n])) for n in drawn]
        scores = pair_scores(series, seed)
        if not len(scores):
            return None
        some = drawn[:NEIGHBOURS]
        nearest = self._nearest(self.vector[some], self.subject[some])[0] if wider is None else wider.nearest
        steps = np.linspace(0, 1, min(STEPS, len(scores)))
        return Background(
            modality=modality,
            body_part_examined=body_part,
            pairs=len(scores),
            quantiles=np.asarray(np.quantile(scores, steps), dtype=np.float32),
            nearest=np.sort(nearest).astype(np.float32),
            series=len(own),
        )

    def _study(self, example: SeriesEmbedding, score: float, place: int) -> RankedStudy:
        reference = SeriesReference(f"9.{place}", f"9.{place}.1", f"stored-{place}")
        candidate = Candidate(reference, self.attributes[place], score)
        return RankedStudy(score, (Vote(Clue("example", example), candidate),))


def _series(
    row: Vector, number: int, attributes: SeriesAttributes, subject: str | None = None
) -> SeriesEmbedding:
    """An image as a series of one frame, in a study of its own."""
    return SeriesEmbedding(
        reference=SeriesReference(f"1.{number}", f"1.{number}.1", f"image-{number}"),
        attributes=SeriesAttributes(attributes.modality, attributes.body_part_examined, patient=subject),
        encoder=EncoderVersion("measured", "0" * 64, row.shape[-1]),
        frames=(FrameReference("", f"1.{number}.1.1", 1),),
        vector=row,
        frame_vectors=row[None, :],
    )
