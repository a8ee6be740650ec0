"""Generic Fourier descriptor: the shape of a lesion, wherever it lies and however it is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import Pixels

RADIAL_FREQUENCIES: Final = 4
ANGULAR_FREQUENCIES: Final = 9


@dataclass(frozen=True, slots=True)
class ShapeSimilarity:
    """Nearness of generic Fourier descriptors, in (0, 1]: 1 / (1 + city-block distance).

    `descriptors` is float64 (n, frequencies); `known` is bool (n,), false where there is no shape, which
    is relevant to nothing.
    """

    descriptors: NDArray[np.float64]
    known: NDArray[np.bool_]

    @classmethod
    def of_masks(cls, masks: Sequence[Pixels | None]) -> ShapeSimilarity:
        """Describe masks, (rows, columns) of 0 and 1."""
        known = np.array([mask is not None and bool(mask.any()) for mask in masks])
        blank = np.zeros(RADIAL_FREQUENCIES * ANGULAR_FREQUENCIES)
        rows = [
            descriptor(mask) if mask is not None and is_known else blank
            for mask, is_known in zip(masks, known, strict=True)
        ]
        return cls(np.stack(rows), known)

    def of(self, query: int, others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Implements `evaluation.relevance.Relevance`."""
        away = np.abs(self.descriptors[others] - self.descriptors[query]).sum(axis=1)
        both = self.known[others] & self.known[query]
        return np.where(both, 1 / (1 + away), 0.0).astype(np.float32)


def descriptor(
    mask: Pixels, radial: int = RADIAL_FREQUENCIES, angular: int = ANGULAR_FREQUENCIES
) -> NDArray[np.float64]:
    """Describe a shape by the magnitudes of its polar Fourier transform.

    The transform is centred on the shape's centroid and reaches to its farthest point; so the descriptor
    does not change when the shape is moved, turned or (but for its sampling) enlarged. It is summed over
    the shape's own pixels, each at its radius and angle, instead of over a resampled polar raster.

    Args:
        mask: (rows, columns) of 0 and 1, not empty.
        radial: frequencies 0 .. radial - 1 along the radius.
        angular: frequencies 0 .. angular - 1 around the centre.

    Returns:
        float64 (radial * angular,): first |PF(0, 0)| over the area of the enclosing circle, then the
        other |PF(rho, phi)| over |PF(0, 0)|, phi running fastest.

    Source:
        Zhang and Lu, "Shape-based image retrieval using generic Fourier descriptor", Signal Processing:
        Image Communication 17(10), 2002, equations 6 and 7 (4 radial and 9 angular frequencies).
    """
    y, x = np.nonzero(mask > 0.5)
    up, right = y - y.mean(), x - x.mean()
    radius = np.hypot(up, right)
    reach = max(float(radius.max()), 0.5)
    angle = np.arctan2(up, right)
    along = np.exp(-2j * np.pi * np.outer(np.arange(radial), radius / reach))
    around = np.exp(-1j * np.outer(np.arange(angular), angle))
    magnitude = np.abs(along @ around.T)
    described = magnitude / magnitude[0, 0]
    described[0, 0] = min(magnitude[0, 0] / (np.pi * reach**2), 1.0)
    return np.asarray(described.ravel(), dtype=np.float64)
