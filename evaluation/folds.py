"""Folds in which no subject, and no near-duplicate within one data set, is on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError

NEAR_DUPLICATE_COSINE = 0.97
_SIDE = 32
_CHUNK = 1024
_FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class Fold:
    """Indices into the benchmark, sorted."""

    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def subject_groups(benchmark: Benchmark) -> NDArray[np.intp]:
    """(n,) a group number an image: its data set's subject."""
    return numbered([f"{image.dataset}/{image.subject}" for image in benchmark.images])


def near_duplicate_groups(benchmark: Benchmark, cosine: float = NEAR_DUPLICATE_COSINE) -> NDArray[np.intp]:
    """(n,) a group number an image: its subject, joined with every subject that holds a near-duplicate.

    Data sets are not compared with each other: a picture that two of them hold is two subjects' picture.
    Where a set's subjects are approximate, slices of one patient may bear two names; images whose
    centred 32x32 greys have at least this cosine are taken for one subject.
    """
    thumbnails = np.stack([_thumbnail(benchmark, index) for index in range(len(benchmark))])
    datasets = np.array([image.dataset for image in benchmark.images])
    leader = _Leaders(subject_groups(benchmark))
    for dataset in sorted(set(datasets)):
        own = np.flatnonzero(datasets == dataset)
        for start in range(0, len(own), _CHUNK):
            some = own[start : start + _CHUNK]
            for left, right in zip(*np.nonzero(thumbnails[some] @ thumbnails[own].T >= cosine), strict=True):
                leader.join(int(some[left]), int(own[right]))
    return leader.groups()


def grouped_folds(groups: NDArray[np.intp], strata: Sequence[str], folds: int, seed: int) -> tuple[Fold, ...]:
    """Cut images into folds of whole groups, each stratum as even as the groups allow.

    Args:
        groups: (n,) a group number an image.
        strata: (n,) what shall be spread evenly: a data set, with its label.
        folds: how many.
        seed: of the shuffle among groups of one size.

    Raises:
        BenchmarkError: there are fewer than two folds, or fewer groups than folds.
    """
    if folds < 2:
        raise BenchmarkError(f"Into {folds} folds nothing can be cut: take 2 or more.")
    if len(set(groups.tolist())) < folds:
        raise BenchmarkError(f"{len(set(groups.tolist()))} subjects cannot be cut into {folds} folds.")
    names, stratum = np.unique(np.asarray(strata), return_inverse=True)
    unique, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(unique), len(names)), dtype=np.int64)
    np.add.at(counts, (group, stratum), 1)
    share = 1.0 / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(unique))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    load = np.zeros((folds, len(names)))
    fold_of = np.zeros(len(unique), dtype=np.intp)
    for number in order:
        cost = (load * (counts[number] * share)).sum(axis=1)
        fold_of[number] = int(np.lexsort((load.sum(axis=1), cost))[0])
        load[fold_of[number]] += counts[number] * share
    of_image = fold_of[group]
    return tuple(Fold(np.flatnonzero(of_image != k), np.flatnonzero(of_image == k)) for k in range(folds))


def refuse_shared_subjects(training: Benchmark, held_out: Benchmark) -> None:
    """Raise BenchmarkError when a subject is on both sides of a split."""
    sides = [{(i.dataset, i.subject) for i in side.images} for side in (training, held_out)]
    shared = sorted(sides[0] & sides[1])
    if shared:
        raise BenchmarkError(
            f"{len(shared)} subjects are on both sides of the split, first {shared[0][1]} of {shared[0][0]}: "
            "split by subject, not by image."
        )


class _Leaders:
    """Union-find over images that start in groups."""

    def __init__(self, groups: NDArray[np.intp]) -> None:
        first: dict[int, int] = {}
        self._leader = [first.setdefault(int(group), index) for index, group in enumerate(groups)]

    def of(self, index: int) -> int:
        while self._leader[index] != index:
            self._leader[index] = self._leader[self._leader[index]]
            index = self._leader[index]
        return index

    def join(self, left: int, right: int) -> None:
        low, high = sorted((self.of(left), self.of(right)))
        self._leader[high] = low

    def groups(self) -> NDArray[np.intp]:
        return np.array([self.of(index) for index in range(len(self._leader))], dtype=np.intp)


def _thumbnail(benchmark: Benchmark, index: int) -> NDArray[np.float32]:
    pixels = benchmark.pixels(index)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    small = np.asarray(
        cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32
    ).ravel()
    centred = small - small.mean()
    norm = float(np.linalg.norm(centred))
    flat = norm < _FLAT  # what is left of a flat image is rounding, and alike in all of them
    return np.zeros_like(centred) if flat else np.asarray(centred / norm, dtype=np.float32)


def numbered(names: Sequence[str]) -> NDArray[np.intp]:
    """(n,) the same number, from zero, for the same name."""
    return np.asarray(np.unique(np.array(names), return_inverse=True)[1], dtype=np.intp)
