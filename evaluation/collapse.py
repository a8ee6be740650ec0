"""Dimensional collapse: how many directions of its space an encoder makes use of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import BenchmarkError

FEWEST_DIRECTIONS: Final = 4.0
MOST_ALIKE: Final = 0.98
LEADING_SHARE: Final = 0.9
_NO_VARIANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Spread:
    """How vectors lie in their space.

    Attributes:
        effective_rank: exponential of the entropy of the normalised singular values of the centred
            vectors, in [1, min(n, d)]; 1 where all vectors are one.
        first_share: share of the variance along the first principal component, in [0, 1].
        mean_cosine: mean cosine of two different vectors, in [-1, 1].
        dimension: d.
    """

    effective_rank: float
    first_share: float
    mean_cosine: float
    dimension: int

    @property
    def is_collapsed(self) -> bool:
        """Whether the vectors tell too little apart to be worth searching.

        So it is where they are nearly one vector, or lie on a line or in a plane of a larger space.
        """
        too_few = self.effective_rank < min(FEWEST_DIRECTIONS, self.dimension / 2)
        return too_few or self.first_share > LEADING_SHARE or self.mean_cosine > MOST_ALIKE


def spread_of(vectors: NDArray[np.float32]) -> Spread:
    """Measure how vectors of different images spread over their space.

    Args:
        vectors: float32 (n, d), n >= 2; of any length but zero, they are normalised first.

    Raises:
        BenchmarkError: there are fewer than two vectors, or one is zero or not finite.

    Source:
        Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007,
        definition 1. Its use against collapse: Garrido et al., "RankMe", ICML 2023.
    """
    unit = _unit_rows(vectors)
    count, dimension = unit.shape
    singular = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False)
    total = float(np.linalg.norm(unit.sum(axis=0)) ** 2)
    mean_cosine = (total - count) / (count * (count - 1))
    if float((singular**2).sum()) / count < _NO_VARIANCE:
        return Spread(1.0, 1.0, mean_cosine, dimension)
    share = singular / singular.sum()
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    first = float(singular[0] ** 2 / (singular**2).sum())
    return Spread(float(np.exp(entropy)), first, mean_cosine, dimension)


def leading_shares(vectors: NDArray[np.float32], components: int = 10) -> NDArray[np.float64]:
    """(components,) share of the variance along each of the first principal components, descending.

    Raises:
        BenchmarkError: as `spread_of`.
    """
    unit = _unit_rows(vectors)
    energy = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False) ** 2
    return np.asarray(energy[:components] / max(float(energy.sum()), _NO_VARIANCE))


def _unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    if vectors.ndim != 2 or len(vectors) < 2:
        raise BenchmarkError("The spread of vectors is measured on (n, d) with at least two rows.")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise BenchmarkError("A vector is zero or not finite: the encoder gave no answer to that image.")
    return np.asarray(vectors / norms, dtype=np.float64)
