"""One measure of one task for one encoder, query by query, and how encoders compare on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, interval_over_subjects, paired_difference
from evaluation.errors import BenchmarkError
from evaluation.ranking import CHANCE

LABELS: Final = "labels"
RELEVANCE: Final = "relevance"
TEXT: Final = "text"
CONCEPTS: Final = "concepts"
IDENTITY: Final = "identity"
CONSISTENCY: Final = "consistency"
REFUSAL: Final = "refusal"
CALIBRATION: Final = "calibration"
MAPS: Final = "maps"
REGIONS: Final = "regions"
FAMILIES: Final = (
    LABELS, RELEVANCE, TEXT, CONCEPTS, IDENTITY, CONSISTENCY, REFUSAL, CALIBRATION, MAPS, REGIONS,
)  # fmt: skip
HEADLINES: Final = {
    LABELS: ("P@10",),
    RELEVANCE: ("nDCG@10",),
    TEXT: ("t2i_R@10", "i2t_R@10"),
    CONCEPTS: ("CUI@5",),
    IDENTITY: ("P@1",),
    CONSISTENCY: ("cosine", "overlap@10", "P@10 change"),
    REFUSAL: ("AUROC", "AUROC with an archive", "refused"),
    CALIBRATION: ("same label",),
    MAPS: ("deletion AUC", "insertion AUC", "rank correlation with occlusion", "with random weights"),
    REGIONS: ("P@10", "IoU", "hit"),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """The values of a measure.

    Attributes:
        family: what kind of task it is, one of FAMILIES.
        task: what is asked: a data set with a label, or with a relevance.
        measure: P@10, nDCG@10, …
        values: float64 (n,), one a query; their mean is the figure.
        subjects: (n,) whose query it is.
        chance: what a random ranking is expected to get; None where that has no meaning.
    """

    family: str
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
        family: see Measurement.
        task: see Measurement.
        measure: see Measurement.
        queries: how many.
        subjects: how many the queries are of.
        chance: see Measurement.
        encoder: the encoder's own figure.
        baselines: those of the others, by name.
        gains: how far the encoder is above each of them, paired by query.
    """

    family: str
    task: str
    measure: str
    queries: int
    subjects: int
    chance: float | None
    encoder: Interval
    baselines: Mapping[str, Interval]
    gains: Mapping[str, Interval]

    @property
    def is_headline(self) -> bool:
        """Whether it is the measure of its family that is quoted first."""
        return self.measure in HEADLINES[self.family]


def measurements(
    family: str, task: str, values: Mapping[str, NDArray[np.float64]], subjects: tuple[str, ...]
) -> Iterator[Measurement]:
    """One a measure of `values`; what is called `chance P@10` there is the chance of P@10."""
    for name, column in values.items():
        if not name.startswith(CHANCE):
            chance = values.get(f"{CHANCE} {name}")
            expected = None if chance is None else float(chance.mean())
            yield Measurement(family, task, name, column, subjects, expected)


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
        family=own.family,
        task=own.task,
        measure=own.measure,
        queries=len(own.values),
        subjects=len(set(own.subjects)),
        chance=own.chance,
        encoder=own.interval,
        baselines={name: other.interval for name, other in others.items()},
        gains={n: paired_difference(own.values, other.values, own.subjects) for n, other in others.items()},
    )
