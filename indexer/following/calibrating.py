"""Backgrounds are measured: how alike series are that have nothing to do with each other."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from indexer.domain import EncoderVersion, Filters, Scope, SeriesEmbedding, Vector
from indexer.ledger import Background, Group, Ledger
from indexer.line_up import LineUps
from indexer.ports import VectorIndex

logger = logging.getLogger(__name__)

MAX_PAIRS: Final = 20_000
FEWEST_PAIRS: Final = 100
FEWEST_STUDIES: Final = 10
STEPS: Final = 1001
MAX_GROUPS: Final = 40
"""Of one modality and one body part; the largest ones."""
TOLERATED: Final = 0.1
"""Backgrounds are measured again when the number of indexed series has changed by more than this share."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many series are drawn, and for how many of them the nearest one is looked for.

    A search costs more than a thousand pairs: of a body part none is made, and its modality's count.
    """

    series: int
    nearest: int


EVERYTHING: Final = Size(250, 60)
ONE_MODALITY: Final = Size(150, 40)
ONE_BODY_PART: Final = Size(100, 0)


class Calibrator:
    """Measures the backgrounds of an encoder from samples: never more than one sample is held."""

    def __init__(
        self,
        ledger: Ledger,
        index: VectorIndex,
        line_ups: Callable[[], LineUps],
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Measure nothing yet.

        Args:
            ledger: counts what is indexed, and keeps the backgrounds.
            index: the vectors.
            line_ups: whose encoders that are searched have backgrounds.
            wait: between two samples, as many seconds as the last one took: questions come first.
        """
        self._ledger = ledger
        self._index = index
        self._line_ups = line_ups
        self._wait = wait

    def due(self) -> tuple[EncoderVersion, ...]:
        """The encoders that are searched and whose archive is no longer the one that was measured."""
        return tuple(version for version in self._line_ups().serving.versions if self._is_due(version))

    def calibrate(
        self, encoder: EncoderVersion, now: datetime, stop: threading.Event | None = None
    ) -> tuple[Background, ...]:
        """Measure the backgrounds of one encoder and keep them.

        Returns:
            What is kept, the widest first. A group of too few pairs has none; that of everything is
            always there, with no pairs where there are too few. Nothing is kept of an encoder that was
            retired meanwhile.

        Raises:
            Unavailable: the vector index or the ledger does not answer; what was kept stays.
        """
        started = time.monotonic()
        groups = self._ledger.groups(str(encoder))
        measured: list[Background] = []
        for group, size in _wanted(groups):
            if stop is not None and stop.is_set():
                return ()
            begun = time.monotonic()
            background = self._measure(encoder, group, size, measured)
            if background.pairs or not group.modality:
                measured.append(background)
            self._wait(time.monotonic() - begun)
        if encoder not in self._line_ups().versions:
            logger.info("calibration_dropped encoder=%s", encoder)
            return ()
        self._ledger.keep_backgrounds(str(encoder), measured, now)
        logger.info(
            "calibrated encoder=%s series=%d backgrounds=%d pairs=%d took_s=%.1f",
            encoder, sum(group.series for group in groups), sum(b.pairs > 0 for b in measured),
            sum(b.pairs for b in measured), time.monotonic() - started,
        )  # fmt: skip
        return tuple(measured)

    def _is_due(self, encoder: EncoderVersion) -> bool:
        kept = next((b for b in self._ledger.backgrounds(str(encoder)) if not b.modality), None)
        series = sum(group.series for group in self._ledger.groups(str(encoder)))
        return kept is None or abs(series - kept.series) > TOLERATED * kept.series

    def _measure(
        self, encoder: EncoderVersion, group: Group, size: Size, wider: Sequence[Background]
    ) -> Background:
        filters = _filters(group)
        seed = zlib.crc32(f"{group.modality}/{group.body_part_examined}".encode())
        drawn = self._index.sample(encoder, filters, limit=size.series, seed=seed)
        scores = pair_scores(drawn, seed)
        nothing = np.zeros(0, dtype=np.float32)
        if not len(scores):
            return Background(
                group.modality, group.body_part_examined, 0, nothing, nothing, series=group.series
            )
        nearest = sorted(self._nearest(encoder, drawn[: size.nearest])) or _nearest_of(wider, group.modality)
        return Background(
            modality=group.modality,
            body_part_examined=group.body_part_examined,
            pairs=len(scores),
            quantiles=_quantiles(scores),
            nearest=np.asarray(nearest, dtype=np.float32),
            series=group.series,
        )

    def _nearest(self, encoder: EncoderVersion, drawn: Sequence[SeriesEmbedding]) -> Iterator[float]:
        for one in drawn:
            scope = Scope(
                not_study=one.reference.study_instance_uid,
                not_patient=one.attributes.patient,
            )
            found = self._index.nearest(encoder, one.vector, one.frame_vectors, limit=1, scope=scope)
            yield from (candidate.score for candidate in found)


def pair_scores(drawn: Sequence[SeriesEmbedding], seed: int) -> Vector:
    """The late-interaction scores of random pairs of different patients and studies.

    Args:
        drawn: series of one encoder.
        seed: of the choice where there are more than MAX_PAIRS.

    Returns:
        float32 (n,), each in [-1, 1], as `Candidate.score`; empty where fewer than FEWEST_PAIRS pairs or
        FEWEST_STUDIES studies are there.
    """
    studies = np.array([one.reference.study_instance_uid for one in drawn])
    patients = np.array([one.attributes.patient or f"?{number}" for number, one in enumerate(drawn)])
    apart = (studies[:, None] != studies[None, :]) & (patients[:, None] != patients[None, :])
    pairs = np.argwhere(apart)
    if len(set(studies)) < FEWEST_STUDIES or len(pairs) < FEWEST_PAIRS:
        return np.zeros(0, dtype=np.float32)
    order = np.random.default_rng(seed).permutation(len(pairs))[:MAX_PAIRS]
    return np.array([_score(drawn[left], drawn[right]) for left, right in pairs[order]], dtype=np.float32)


def _nearest_of(wider: Sequence[Background], modality: str) -> Vector:
    """The nearest neighbours of the modality; where it is all there is, those of everything."""
    found = {background.modality: background.nearest for background in wider if background.pairs}
    return found.get(modality, found.get("", np.zeros(0, dtype=np.float32)))


def _score(asked: SeriesEmbedding, stored: SeriesEmbedding) -> float:
    alike = asked.frame_vectors @ stored.frame_vectors.T
    return min(1.0, max(-1.0, float(alike.max(axis=1).mean())))


def _quantiles(scores: Vector) -> Vector:
    steps = np.linspace(0, 1, min(STEPS, len(scores)))
    return np.asarray(np.quantile(scores, steps), dtype=np.float32)


def _wanted(groups: Sequence[Group]) -> Iterator[tuple[Group, Size]]:
    """Everything, each modality, the largest body parts of them; none that is all of a wider one."""
    everything = sum(group.series for group in groups)
    yield Group("", "", everything), EVERYTHING
    modalities: Counter[str] = Counter()
    for group in groups:
        modalities[group.modality] += group.series
    for modality, series in modalities.most_common():
        if modality and FEWEST_STUDIES <= series < everything:
            yield Group(modality, "", series), ONE_MODALITY
    narrow = [
        group
        for group in groups
        if group.modality
        and group.body_part_examined
        and FEWEST_STUDIES <= group.series < modalities[group.modality]
    ]
    yield from ((group, ONE_BODY_PART) for group in narrow[:MAX_GROUPS])


def _filters(group: Group) -> Filters:
    return Filters(
        modality=(group.modality,) if group.modality else (),
        body_part_examined=(group.body_part_examined,) if group.body_part_examined else (),
    )
