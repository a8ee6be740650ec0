"""How well slices find their like in the same and in other sequences, within folds and across them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.bootstrap import DRAWS, SEED, Interval, interval_over_subjects
from evaluation.errors import BenchmarkError
from evaluation.fourier_descriptor import ShapeSimilarity
from evaluation.ranking import unit_vectors
from evaluation.relevance import GreyHistograms, MaskOverlap, OfPairs, Relevance, graded_ndcg
from indexer.domain import Vector

BAR: Final = "mask IoU, other sequence, nDCG@10"
"""The figure that multi-sequence encoders are judged by."""


@dataclass(frozen=True, slots=True)
class SequenceFigure:
    """The values of a measure: (n,) one a query, with whose query it is."""

    values: NDArray[np.float64]
    subjects: tuple[str, ...]

    @property
    def interval(self) -> Interval:
        """The mean with its 95 % interval over subjects."""
        return interval_over_subjects(self.values, self.subjects)


class SequenceScorer:
    """Judges vectors of one benchmark of several sequences.

    Raises:
        BenchmarkError: no image has a lesion mask, there is only one sequence, or a subject is in two folds.
    """

    def __init__(self, benchmark: Benchmark, parts: NDArray[np.intp]) -> None:
        """Reckon what is relevant to what.

        Args:
            benchmark: images with `view_or_sequence`.
            parts: (n,) the fold an image was held out in; neighbours are looked for in the own fold. All
                zeros look everywhere, which asks for vectors that can be compared across folds.
        """
        self._parts = parts
        self._sequence = np.array([image.view_or_sequence for image in benchmark.images])
        self._subject = np.array([f"{image.dataset}/{image.subject}" for image in benchmark.images])
        if len(set(self._sequence.tolist())) < 2:
            raise BenchmarkError("There is only one sequence: nothing can be found in another.")
        subjects = self._subject.tolist()
        if len(set(zip(subjects, parts.tolist(), strict=True))) > len(set(subjects)):
            raise BenchmarkError("A subject is in two folds: make folds that keep subjects whole.")
        masks = [benchmark.mask(index) for index in range(len(benchmark))]
        overlap = MaskOverlap.of_masks(masks)
        self._queries = overlap.with_lesion
        if not len(self._queries):
            raise BenchmarkError("No image has a lesion mask: nDCG by lesion has no figure.")
        self._best = _largest(overlap.masks.sum(axis=1), self._subject, self._sequence)
        pixels = [benchmark.pixels(index) for index in range(len(benchmark))]
        self._grades = {
            "mask IoU": _overlaps(overlap.masks),
            "grey histogram": _every_pair(GreyHistograms.of_images(pixels), len(benchmark)),
            "Fourier descriptor": _every_pair(ShapeSimilarity.of_masks(masks), len(benchmark)),
        }

    def score(self, vectors: Vector) -> dict[str, SequenceFigure]:
        """All figures of vectors (n, d), by name; BAR is one of them."""
        unit = unit_vectors(vectors)
        similarity = unit @ unit.T
        figures: dict[str, SequenceFigure] = {}
        for name, grades in self._grades.items():
            for where in ("same", "other"):
                kept, values = graded_ndcg(
                    _row(similarity), _row(grades), self._queries, self._allowed(where)
                )
                for measure, column in values.items():
                    figures[f"{name}, {where} sequence, {measure}"] = self._figure(column, kept)
        best = np.intersect1d(self._best, self._queries)
        overlaps = self._grades["mask IoU"]
        kept, values = graded_ndcg(_row(similarity), _row(overlaps), best, self._allowed("other", self._best))
        figures["mask IoU, best slices, other sequence, nDCG@10"] = self._figure(values["nDCG@10"], kept)
        figures["same patient, other sequence, P@1"] = self._found_again(similarity)
        volumes, first = _volumes(unit, self._subject, self._sequence)
        figures["same patient, other sequence, whole volumes, P@1"] = self._found_again(
            volumes @ volumes.T, first
        )
        return figures

    def _allowed(
        self, where: str, among: NDArray[np.intp] | None = None
    ) -> Callable[[int], NDArray[np.intp]]:
        inside = np.ones(len(self._parts), dtype=bool) if among is None else np.zeros(len(self._parts), bool)
        if among is not None:
            inside[among] = True

        def allowed(query: int) -> NDArray[np.intp]:
            alike = self._sequence == self._sequence[query]
            others = (self._subject != self._subject[query]) & (self._parts == self._parts[query]) & inside
            return np.flatnonzero(others & (alike if where == "same" else ~alike))

        return allowed

    def _found_again(self, similarity: Vector, rows: NDArray[np.intp] | None = None) -> SequenceFigure:
        rows = np.arange(len(similarity)) if rows is None else rows
        subject, sequence, part = self._subject[rows], self._sequence[rows], self._parts[rows]
        kept, found = [], []
        for query in range(len(rows)):
            others = np.flatnonzero((sequence != sequence[query]) & (part == part[query]))
            if (subject[others] == subject[query]).any():
                nearest = others[int(np.argmax(similarity[query, others]))]
                kept.append(rows[query])
                found.append(float(subject[nearest] == subject[query]))
        if not kept:
            raise BenchmarkError("No patient has two sequences in one fold.")
        return self._figure(np.array(found), np.array(kept, dtype=np.intp))

    def _figure(self, values: NDArray[np.float64], kept: NDArray[np.intp]) -> SequenceFigure:
        return SequenceFigure(values, tuple(self._subject[kept].tolist()))


def ratio_to_best(own: SequenceFigure, others: Mapping[str, SequenceFigure]) -> tuple[str, Interval]:
    """How many times the best of the others a figure is, with the interval over the same draws of subjects.

    Args:
        own: of the queries that the others are of, too.
        others: by name; at least one.

    Returns:
        The best one's name, and the ratio of the means.
    """
    name = max(others, key=lambda other: float(others[other].values.mean()))
    numbers = np.unique(np.array(own.subjects), return_inverse=True)[1]
    mine, theirs = np.bincount(numbers, own.values), np.bincount(numbers, others[name].values)
    drawn = np.random.default_rng(SEED).integers(0, len(mine), (DRAWS, len(mine)))
    ratios = mine[drawn].sum(axis=1) / np.maximum(theirs[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return name, Interval(float(mine.sum() / max(theirs.sum(), 1e-12)), float(low), float(high))


def _row(of_all: NDArray[np.float32]) -> OfPairs:
    """The values of a query's row of (n, n)."""
    return lambda query, others: of_all[query, others]


def _overlaps(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Jaccard indices (n, n) of masks (n, cells) of 0 and 1."""
    shared, area = masks @ masks.T, masks.sum(axis=1)
    return np.asarray(shared / np.maximum(area[:, None] + area[None] - shared, 1), dtype=np.float32)


def _every_pair(relevance: Relevance, count: int) -> NDArray[np.float32]:
    everybody = np.arange(count)
    return np.stack([relevance.of(query, everybody) for query in range(count)])


def _largest(
    area: NDArray[np.float32], subject: NDArray[np.str_], sequence: NDArray[np.str_]
) -> NDArray[np.intp]:
    chosen = [own[int(area[own].argmax())] for own in _series(subject, sequence)]
    return np.sort(np.array(chosen, dtype=np.intp))


def _volumes(
    unit: Vector, subject: NDArray[np.str_], sequence: NDArray[np.str_]
) -> tuple[Vector, NDArray[np.intp]]:
    """A series' vector: the mean of its slices'; with the index of its first slice."""
    series: Sequence[NDArray[np.intp]] = list(_series(subject, sequence))
    means = np.stack([unit[own].mean(axis=0) for own in series])
    return unit_vectors(means), np.array([own[0] for own in series], dtype=np.intp)


def _series(subject: NDArray[np.str_], sequence: NDArray[np.str_]) -> Iterator[NDArray[np.intp]]:
    keys = np.char.add(np.char.add(subject, "|"), sequence)
    for key in np.unique(keys):
        yield np.flatnonzero(keys == key)
