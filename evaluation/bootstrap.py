"""Intervals that respect that images of one subject are not independent: the bootstrap over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import BenchmarkError

DRAWS: Final = 500
SEED: Final = 0
_TAIL: Final = 0.025


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % percentile interval, both ends in the unit of the values."""

    mean: float
    low: float
    high: float

    @property
    def is_above_zero(self) -> bool:
        """Whether all of it is: of a difference, that it is not chance."""
        return self.low > 0.0


def interval_over_subjects(
    values: NDArray[np.float64], subjects: Sequence[str], draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """The mean over queries, and how it would vary with other subjects.

    Whole subjects are drawn with replacement, as many as there are; a draw's mean weighs each query
    the same. Subjects are numbered as they first appear, so that the draws are the same everywhere.

    Args:
        values: float64 (n,), one a query.
        subjects: (n,) whose query it is.
        draws: how many bootstrap samples.
        seed: of the draws.

    Raises:
        BenchmarkError: there is no value, or not one subject a value.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile
        interval); Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B, 2007.
    """
    if len(values) == 0 or len(values) != len(subjects):
        raise BenchmarkError(f"{len(values)} values and {len(subjects)} subjects give no interval.")
    numbers: dict[str, int] = {}
    number = np.array([numbers.setdefault(subject, len(numbers)) for subject in subjects])
    sums = np.bincount(number, weights=values)
    sizes = np.bincount(number)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [_TAIL, 1 - _TAIL])
    return Interval(float(np.mean(values)), float(low), float(high))


def paired_difference(
    left: NDArray[np.float64], right: NDArray[np.float64], subjects: Sequence[str]
) -> Interval:
    """How much `left` is above `right` on the same queries: each draw of subjects serves both.

    Args:
        left: float64 (n,), one a query.
        right: float64 (n,), of the same queries.
        subjects: (n,).

    Raises:
        BenchmarkError: they are not as many.
    """
    if left.shape != right.shape:
        raise BenchmarkError(f"{len(left)} and {len(right)} values are not of the same queries.")
    return interval_over_subjects(left - right, subjects)
