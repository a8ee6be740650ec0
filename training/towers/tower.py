"""What every image tower is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class ImageTower(Protocol):
    """A network over model inputs, float32 (n, 3, height, width)."""

    dimension: int

    def feature_map(self, images: Tensor) -> Tensor:
        """The spatial map (n, dimension, rows, columns), before it is pooled."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """The pooled vectors (n, dimension), not normalised."""
        ...
