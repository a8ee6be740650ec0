"""Which images are of a kind whose findings were learned: those whose general vector is near theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from evaluation.ranking import unit_vectors

PROTOTYPES: Final = 200
"""Of each kind at most, and a third of its images."""
HEARD: Final = 0.95
"""Share of images of the kinds that the gate shall be open for."""
_CROSS_FITS: Final = 5


def prototypes_of(vectors: NDArray[np.float32], kinds: Sequence[str], seed: int) -> NDArray[np.float32]:
    """Cluster centres of each kind: float32 (k, d), unit rows, of unit rows (n, d)."""
    names = np.array(kinds)
    centres = [_centres(vectors[names == kind], seed) for kind in sorted(set(kinds))]
    return unit_vectors(np.concatenate(centres))


def threshold_of(
    vectors: NDArray[np.float32], kinds: Sequence[str], groups: NDArray[np.intp], seed: int
) -> float:
    """The cosine with its nearest prototype that all but 5 % of the images have.

    Each image is compared with prototypes of other subjects' images only, as a new patient's will be.

    Args:
        vectors: (n, d), unit rows.
        kinds: (n,).
        groups: (n,) subjects.
        seed: of the clusters.
    """
    part = np.unique(groups, return_inverse=True)[1] % _CROSS_FITS
    nearest = np.zeros(len(vectors))
    names = np.array(kinds)
    for number in sorted(set(part.tolist())):
        own = part == number
        others = prototypes_of(vectors[~own], names[~own].tolist(), seed)
        nearest[own] = (vectors[own] @ others.T).max(1)
    return float(np.quantile(nearest, 1 - HEARD))


def _centres(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    count = max(1, min(PROTOTYPES, len(vectors) // 3))
    fitted = KMeans(count, n_init=1, random_state=seed).fit(vectors)
    return np.asarray(fitted.cluster_centers_, dtype=np.float32)
