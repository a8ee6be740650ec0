"""One measure of one task for one encoder, query by query, and how encoders compare on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, interval_over_subjects, paired_difference
from evaluation.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class Measurement:
    """The values of a measure.

    Attributes:
        task: what is asked: a data set with a label, or with a relevance.
        measure: P@10, nDCG@10, …
        values: float64 (n,), one a query; their mean is the figure.
        subjects: (n,) whose query it is.
        chance: what a random ranking is expected to get; None where that has no meaning.
    """

    task: str
    measure: str
    values: NDArray[np.float64]
    subjects: tuple[str, ...]
    chance: float | None = None

    @property
    def mean(self) -> float:
        """The figure."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> Interval:
        """The figure with its 95 % interval over subjects."""
        return interval_over_subjects(self.values, self.subjects)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of an encoder, beside chance and the same figure of others.

    Attributes:
        task: see Measurement.
        measure: see Measurement.
        queries: how many.
        subjects: how many the queries are of.
        chance: see Measurement.
        encoder: the encoder's own figure.
        baselines: those of the others, by name.
        gains: how far the encoder is above each of them, paired by query.
    """

    task: str
    measure: str
    queries: int
    subjects: int
    chance: float | None
    encoder: Interval
    baselines: Mapping[str, Interval]
    gains: Mapping[str, Interval]


def compare(
    own: Sequence[Measurement], baselines: Mapping[str, Sequence[Measurement]]
) -> tuple[Comparison, ...]:
    """Put each figure of an encoder beside those of others.

    A measure that another has no value for (text, of an encoder without a text tower) stands alone.

    Raises:
        BenchmarkError: two measured other queries under the same name.
    """
    tables = {name: {(m.task, m.measure): m for m in found} for name, found in baselines.items()}
    return tuple(_comparison(measured, tables) for measured in own)


def _comparison(own: Measurement, tables: Mapping[str, Mapping[tuple[str, str], Measurement]]) -> Comparison:
    key = own.task, own.measure
    others = {name: table[key] for name, table in tables.items() if key in table}
    for name, other in others.items():
        if other.subjects != own.subjects:
            raise BenchmarkError(f"{name} and the encoder measured {own.task} on other queries.")
    return Comparison(
        task=own.task,
        measure=own.measure,
        queries=len(own.values),
        subjects=len(set(own.subjects)),
        chance=own.chance,
        encoder=own.interval,
        baselines={name: other.interval for name, other in others.items()},
        gains={n: paired_difference(own.values, other.values, own.subjects) for n, other in others.items()},
    )
