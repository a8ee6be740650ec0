"""Which cluster shows which organ, learned from what occurs together over studies, or given by hand."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from training.errors import TrainingError

COLUMNS: Final = ("cluster", "organ")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What occurs in each of n studies.

    Attributes:
        clusters: bool (n, k), whether an image of the cluster is there.
        organs: the names of m organs.
        spoken: bool (n, m), whether the report speaks of the organ.
    """

    clusters: NDArray[np.bool_]
    organs: tuple[str, ...]
    spoken: NDArray[np.bool_]

    @classmethod
    def of(cls, clusters: Sequence[Collection[int]], organs: Sequence[Collection[str]], k: int) -> Occurrence:
        """From each study's clusters (0 to k - 1) and organs."""
        names = tuple(sorted({organ for study in organs for organ in study}))
        shown = np.array([[number in study for number in range(k)] for study in clusters], dtype=np.bool_)
        spoken = np.array([[name in study for name in names] for study in organs], dtype=np.bool_)
        return cls(shown.reshape(len(clusters), k), names, spoken.reshape(len(organs), len(names)))


def association(occurrence: Occurrence) -> NDArray[np.float64]:
    """How much a cluster's presence in a study tells of an organ's in its report.

    The mutual information of both presences in nats, its sign that of their pointwise mutual information: an
    organ that every report speaks of tells nothing, and a rare one little, whereas PMI alone prefers the
    rare ones.

    Returns:
        float64 (k, m), above zero where both occur together more often than by chance.

    Source:
        Church and Hanks, "Word Association Norms, Mutual Information, and Lexicography", Comput. Linguist.
        1990 (PMI); Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Comput.
        Linguist. 1993 (its expectation against rare events).
    """
    shown, spoken = occurrence.clusters.astype(np.float64), occurrence.spoken.astype(np.float64)
    total = max(len(shown), 1)
    information = np.zeros((shown.shape[1], spoken.shape[1]))
    for left in (shown, 1 - shown):
        for right in (spoken, 1 - spoken):
            joint = left.T @ right / total
            apart = np.outer(left.mean(0), right.mean(0))
            ratio = np.divide(joint, apart, out=np.ones_like(joint), where=(joint > 0) & (apart > 0))
            information += joint * np.log(ratio)
    together = shown.T @ spoken / total - np.outer(shown.mean(0), spoken.mean(0))
    return np.asarray(np.sign(together) * np.maximum(information, 0.0), dtype=np.float64)


def learned_assignment(occurrence: Occurrence, *, shared: bool = False, least: int = 3) -> dict[int, str]:
    """The organ of each cluster; a cluster that goes with no organ has none.

    Args:
        occurrence: over studies.
        shared: each cluster takes its best organ, so that several may show one; otherwise an organ has one
            cluster, and the sum of the associations is the largest possible (Kuhn 1955).
        least: studies in which both must occur.

    Raises:
        TrainingError: no report speaks of an organ, or none goes with a cluster.
    """
    if not occurrence.organs:
        raise TrainingError(
            "No report speaks of an organ that is known: extend the lexicon, or look at its language."
        )
    strength = association(occurrence)
    together = occurrence.clusters.astype(np.int64).T @ occurrence.spoken.astype(np.int64)
    strength = np.where(together >= least, np.maximum(strength, 0.0), 0.0)
    rows, columns = (
        (np.arange(len(strength)), strength.argmax(1)) if shared else linear_sum_assignment(-strength)
    )
    found = {
        int(row): occurrence.organs[int(column)]
        for row, column in zip(rows, columns, strict=True)
        if strength[row, column] > 0
    }
    if not found:
        raise TrainingError(
            "No cluster goes with an organ: where every report speaks of every organ nothing can be learned "
            "from that. Look at the pictures of the clusters, and name their organs in a table."
        )
    return found


def read_assignment(path: Path, clusters: int) -> dict[int, str]:
    """The user's own assignment: a CSV file with the columns cluster and organ; an empty organ is none.

    Raises:
        TrainingError: it cannot be read, a column is missing, or a cluster is not there.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if any(name not in (table.fieldnames or ()) for name in COLUMNS):
                raise TrainingError(f"{path} needs the columns {' and '.join(COLUMNS)}.")
            rows = [(int(row["cluster"]), row["organ"].strip()) for row in table]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: a line is a cluster's number and an organ.") from error
    unknown = sorted({number for number, _ in rows if not 0 <= number < clusters})
    if unknown:
        raise TrainingError(f"{path} names the cluster {unknown[0]}; there are 0 to {clusters - 1}.")
    return {number: organ for number, organ in rows if organ}


def write_assignment(path: Path, assignment: Mapping[int, str], clusters: int) -> None:
    """Write what `read_assignment` reads, a line a cluster."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([number, assignment.get(number, "")] for number in range(clusters))
