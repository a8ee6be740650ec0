"""Re-identification: whether the nearest vector of another series is of the same patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.chance import expected_precision_at_r
from evaluation.errors import BenchmarkError
from evaluation.ranking import Names, rankings
from indexer.domain import Vector


@dataclass(frozen=True, slots=True)
class Identification:
    """Per query: float64 (n,) each, in [0, 1].

    Attributes:
        query: int (n,) indices of those that have somebody to be found with.
        precision_at_1: whether the nearest is of the same patient.
        average_precision_at_r: mAP@R: precision summed over the right ones among the first R, over R, the
            number of right ones there are.
        chance: expected P@1 of a random ranking.
        chance_at_r: expected mAP@R of a random ranking.
    """

    query: NDArray[np.intp]
    precision_at_1: NDArray[np.float64]
    average_precision_at_r: NDArray[np.float64]
    chance: NDArray[np.float64]
    chance_at_r: NDArray[np.float64]


def identify(vector: Vector, patient: Names, own: Names) -> Identification:
    """Look for the same patient among everything but the query's own series (or study).

    A high figure is good where prior studies of a patient are wanted, and a warning where vectors are
    handed out: they tell who somebody is.

    Args:
        vector: float32 (n, d), unit rows.
        patient: (n,); who is to be found.
        own: (n,); what shares it with the query is no neighbour: its series, or its study.

    Raises:
        BenchmarkError: no patient has two of them.

    Source:
        mAP@R: Musgrave, Belongie and Lim, "A metric learning reality check", ECCV 2020, section 3.
        The warning: Packhaeuser et al., "Deep learning-based patient re-identification is able to
        exploit the biometric nature of medical chest X-ray data", Scientific Reports 12, 2022.
    """
    kept, rows = list[int](), list[tuple[float, float, float, float]]()
    most = int(np.unique(patient, return_counts=True)[1].max()) if len(patient) else 0
    for index, ranking in enumerate(rankings(vector, vector, own, own, max(most, 1))):
        right = int((patient[ranking.allowed] == patient[index]).sum())
        if right == 0:
            continue
        good = patient[ranking.nearest] == patient[index]
        precision = np.cumsum(good[:right]) / np.arange(1, right + 1)
        allowed = int(ranking.allowed.sum())
        at_r = float((precision * good[:right]).sum() / right)
        kept.append(index)
        rows.append((float(good[0]), at_r, right / allowed, expected_precision_at_r(right, allowed)))
    if not kept:
        raise BenchmarkError("Nobody can be found again: no patient has two series.")
    return Identification(np.array(kept, dtype=np.intp), *np.array(rows).T)
