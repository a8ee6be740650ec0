"""What a random ranking is expected to get, exactly, so that every figure has a floor to stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray


def expected_by_chance(
    right: NDArray[np.intp], candidates: NDArray[np.intp], cutoffs: Sequence[int]
) -> Mapping[str, NDArray[np.float64]]:
    """Expectation of P@k, mAP@k (k > 1) and R@k over all orders of the candidates.

    Of k places drawn without replacement, m are right with the hypergeometric probability; wherever these
    m lie is equally likely, so that place i, when right, has 1 + (i - 1)(m - 1) / (k - 1) right ones up to
    itself on average.

    Args:
        right: int (n,) how many candidates are right for each query.
        candidates: int (n,) how many there are, at least 1.
        cutoffs: the ks; where there are fewer candidates, all of them count.

    Returns:
        float64 (n,) each, in [0, 1].
    """
    pairs, place = np.unique(np.stack([right, candidates], axis=1), axis=0, return_inverse=True)
    place = place.ravel()
    columns: dict[str, NDArray[np.float64]] = {}
    for k in cutoffs:
        rows = [_expected(int(of), int(among), min(k, int(among))) for of, among in pairs]
        precision, average, recall = np.array(rows).T
        columns |= {f"P@{k}": precision[place], f"R@{k}": recall[place]}
        if k > 1:
            columns[f"mAP@{k}"] = average[place]
    return columns


def expected_precision_at_r(right: int, candidates: int) -> float:
    """Expectation of mAP@R over all orders: as many places count as candidates are right."""
    place = np.arange(1, right + 1)
    up_to = 1 + (place - 1) * (right - 1) / max(candidates - 1, 1)
    return float((up_to / place).sum() / candidates)


def _expected(right: int, candidates: int, k: int) -> tuple[float, float, float]:
    """P@k, mAP@k, R@k."""
    orders = comb(candidates, k)
    place = np.arange(1, k + 1)
    average = 0.0
    for found in range(1, min(k, right) + 1):
        probability = comb(right, found) * comb(candidates - right, k - found) / orders
        up_to = 1 + (place - 1) * (found - 1) / max(k - 1, 1)
        average += probability * float((up_to / place).sum()) / k
    return right / candidates, average, 1 - comb(candidates - right, k) / orders
