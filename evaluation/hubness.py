"""Hubness: a few vectors that are near to everything, and many that nobody ever finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.ranking import Names, rankings
from indexer.domain import Vector

K: Final = 10


@dataclass(frozen=True, slots=True)
class Hubness:
    """How unevenly the vectors are found.

    Attributes:
        skewness: of how often each is among the k nearest of the others; 0 is even, above 2 is strong.
        never_found: share of those that are among nobody's k nearest, in [0, 1].
        most_found: share of the queries that the most frequent one is a neighbour of, in [0, 1].
    """

    skewness: float
    never_found: float
    most_found: float


def hubness_of(vector: Vector, subject: Names, k: int = K) -> Hubness:
    """Count how often each vector is among the k nearest of another subject's.

    Args:
        vector: float32 (n, d), unit rows.
        subject: (n,).
        k: neighbours.

    Source:
        Radovanovic, Nanopoulos and Ivanovic, "Hubs in space: popular nearest neighbors in
        high-dimensional data", Journal of Machine Learning Research 11, 2010, section 2.
    """
    found = np.zeros(len(vector), dtype=np.int64)
    for ranking in rankings(vector, vector, subject, subject, k):
        found[ranking.nearest] += 1
    deviation = found - found.mean()
    spread = max(float(found.std()), 1e-12)
    return Hubness(
        skewness=float((deviation**3).mean() / spread**3),
        never_found=float((found == 0).mean()),
        most_found=float(found.max() / len(vector)),
    )
