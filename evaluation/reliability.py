"""Calibration: do pairs that are called more alike than most others bear the same finding more often?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.archive_judging import JudgedArchive
from evaluation.benchmark import Benchmark
from evaluation.bootstrap import interval_over_subjects
from evaluation.known_split import is_radiology
from evaluation.measurement import CALIBRATION, Comparison
from indexer.domain import EncoderVersion, SeriesAttributes, Vector

BANDS: Final = (0.0, 50.0, 80.0, 95.0, 99.0, 100.0)
PAIRS: Final = 20_000
FEWEST: Final = 20
RAREST: Final = 0.05
"""A finding that fewer pairs share, or nearly all, tells nothing."""
SAME_LABEL: Final = "same label"
_ENCODER: Final = EncoderVersion("measured", "0" * 64, 1)


def reliability_comparisons(benchmark: Benchmark, vector: Vector, seed: int) -> Iterator[Comparison]:
    """Of random pairs of one data set, the share with the same finding, by band of the percentage.

    Args:
        benchmark: data sets with at least two findings are measured.
        vector: (n, d) of its images, unit rows; zero where there is none.
        seed: of the pairs.

    Source:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2 (reliability diagrams);
        here against the share of the same finding, which need not equal the percentage.
    """
    seen = [n for n, image in enumerate(benchmark.images) if is_radiology(image) and vector[n].any()]
    if not seen:
        return
    images = [benchmark.images[n] for n in seen]
    subject = np.array([f"{image.dataset}/{image.subject}" for image in images])
    attributes = tuple(SeriesAttributes(image.modality, image.body_part.upper()) for image in images)
    archive = JudgedArchive.of(vector[seen], subject.tolist(), attributes, None, seed)
    finding = np.array([image.finding for image in images])
    dataset = np.array([image.dataset for image in images])
    for name in sorted(set(dataset)):
        own = np.flatnonzero((dataset == name) & (finding != ""))
        if len(set(subject[own])) >= FEWEST and len(set(finding[own])) > 1:
            yield from _of_dataset(str(name), _pairs(archive, own, finding, seed))


@dataclass(frozen=True, slots=True)
class _Pairs:
    percent: NDArray[np.float64]
    same: NDArray[np.float64]
    subject: NDArray[np.str_]


def _pairs(archive: JudgedArchive, own: NDArray[np.intp], finding: NDArray[np.str_], seed: int) -> _Pairs:
    left, right = own[np.random.default_rng(seed).integers(0, len(own), (2, PAIRS))]
    apart = archive.subject[left] != archive.subject[right]
    left, right = left[apart], right[apart]
    scores = (archive.vector[left] * archive.vector[right]).sum(axis=1)
    told = [
        archive.judge.percent(_ENCODER, archive.attributes[int(n)], float(score))
        for n, score in zip(left, scores, strict=True)
    ]
    return _Pairs(
        percent=np.array([np.nan if percent is None else percent for percent in told]),
        same=(finding[left] == finding[right]).astype(np.float64),
        subject=archive.subject[left],
    )


def _of_dataset(name: str, pairs: _Pairs) -> Iterator[Comparison]:
    chance = float(pairs.same.mean())
    if not RAREST < chance < 1 - RAREST:
        return
    for low, high in pairwise(BANDS):
        band = (pairs.percent >= low) & (pairs.percent < high)
        if int(band.sum()) < FEWEST:
            continue
        subjects = pairs.subject[band].tolist()
        yield Comparison(
            family=CALIBRATION,
            task=f"{name} by finding, {low:g} to {high:g} %",
            measure=SAME_LABEL,
            queries=int(band.sum()),
            subjects=len(set(subjects)),
            chance=chance,
            encoder=interval_over_subjects(pairs.same[band], subjects),
            baselines={},
            gains={},
        )
