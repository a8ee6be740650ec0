"""Augmented views of images, and the features of a frozen tower over them, reckoned once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.images import WHITE, normalised
from training.towers.tower import ImageTower

_CHUNK: Final = 32


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a view may be from its image.

    Attributes:
        turn_deg: at most, to either side.
        zoom: largest enlargement; 1 is none.
        shift: at most, as a share of the side.
        contrast: gain is drawn from [1 - contrast, 1 + contrast], brightness from half of that.
        mirrored: whether left and right may be changed.
    """

    turn_deg: float = 15.0
    zoom: float = 1.5
    shift: float = 0.1
    contrast: float = 0.4
    mirrored: bool = True

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image.

        Args:
            images: float32 (n, 3, side, side) in [0, 1].
            generator: of what is drawn, on the CPU.

        Returns:
            The same shape and range.
        """
        n = len(images)
        drawn = torch.rand(6, n, generator=generator).to(images.device)
        turn = (drawn[0] * 2 - 1) * math.radians(self.turn_deg)
        scale = 1.0 / (1.0 + drawn[1] * (self.zoom - 1.0))
        flip = torch.where((drawn[2] < 0.5) & self.mirrored, -1.0, 1.0)
        shift = (drawn[3:5] * 2 - 1) * self.shift * 2
        rows = [
            torch.stack([turn.cos() * scale * flip, -turn.sin() * scale, shift[0]], 1),
            torch.stack([turn.sin() * scale * flip, turn.cos() * scale, shift[1]], 1),
        ]
        grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        light = torch.rand(2, n, 1, 1, 1, generator=generator).to(images.device) * 2 - 1
        return (moved * (1 + light[0] * self.contrast) + light[1] * self.contrast / 2).clamp(0, 1)


@torch.no_grad()
def features_of_views(
    tower: ImageTower, images: Tensor, views: int, seed: int, augmentation: Augmentation, device: str = "cpu"
) -> Tensor:
    """Features of the images themselves, then of `views` views of each.

    Args:
        tower: in evaluation mode.
        images: uint8 (n, 3, side, side).
        views: how many augmented ones.
        seed: of the augmentation.
        augmentation: how far views go.
        device: where the tower is.

    Returns:
        float32 (1 + views, n, d) on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    features = torch.empty(1 + views, len(images), tower.dimension)
    for start in range(0, len(images), _CHUNK):
        some = images[start : start + _CHUNK].to(device).float() / WHITE
        for view in range(1 + views):
            seen = augmentation.view(some, generator) if view else some
            features[view, start : start + _CHUNK] = tower(normalised(seen)).float().cpu()
    return features


def nearest(features: Tensor, count: int) -> NDArray[np.intp]:
    """(n, count) for each row of (n, d) the rows of largest cosine, itself left out."""
    unit = functional.normalize(features - features.mean(0), dim=1)
    rows = []
    for start in range(0, len(unit), 1024):
        cosine = unit[start : start + 1024] @ unit.T
        cosine[torch.arange(len(cosine)), torch.arange(start, start + len(cosine))] = -torch.inf
        rows.append(cosine.topk(count, dim=1).indices)
    return np.asarray(torch.cat(rows).numpy(), dtype=np.intp)
