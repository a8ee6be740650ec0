"""The network of multi-sequence learning: an image to its vector, its picture again, and its lesion map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.towers.pyramid import MapDecoder, PictureDecoder, Pyramid

Embedding = Literal["pooled", "projected", "spatial", "map", "map+spatial"]
PROJECTED: Final = 128
SPATIAL_CHANNELS: Final = 16
_FLOOR: Final = 1e-6


@dataclass(frozen=True, slots=True)
class MapShape:
    """How a lesion map becomes a vector.

    Attributes:
        side: cells of the pooled map along an edge.
        blur: standard deviation of a Gaussian, in cells of stride 4; 0 for none.
        power: of the probability; 0.5 makes the dot product Bhattacharyya's coefficient.
        mirrored: whether the mirrored image is mapped too and averaged.
    """

    side: int = 20
    blur: float = 1.0
    power: float = 0.5
    mirrored: bool = True


class SequenceTower(nn.Module):
    """An image tower whose vector is pooled, projected, spatial, or the map of the lesion it sees.

    Attributes:
        dimension: of the vector that `forward` gives.
    """

    def __init__(self, pyramid: Pyramid, embedding: Embedding, shape: MapShape) -> None:
        super().__init__()
        channels = pyramid.channels
        self.pyramid, self.embedding, self.shape = pyramid, embedding, shape
        self.projection = nn.Sequential(
            nn.Linear(channels[-1], channels[-1]), nn.ReLU(), nn.Linear(channels[-1], PROJECTED)
        )
        self.spatial = nn.Conv2d(channels[2], SPATIAL_CHANNELS, 1)
        self.picture = PictureDecoder(channels[-1])
        self.lesion = MapDecoder(channels)
        self.spatial_side = 5

    def maps(self, images: Tensor) -> list[Tensor]:
        """(n, 3, h, w) to the maps at the strides 4, 8, 16, 32."""
        taken: list[Tensor] = self.pyramid(images)
        return taken

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, channels, h / 32, w / 32): the backbone's, before it is pooled."""
        return self.maps(images)[-1]

    def contrasted(self, maps: list[Tensor]) -> Tensor:
        """What is contrasted, (n, d): the flattened spatial projection, or the projected pool."""
        if "spatial" in self.embedding:
            return self._spatial(maps)
        projected: Tensor = self.projection(maps[-1].mean((2, 3)))
        return projected

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, d), not normalised."""
        maps = self.maps(images)
        if self.embedding == "pooled":
            return maps[-1].mean((2, 3))
        if self.embedding in {"projected", "spatial"}:
            return self.contrasted(maps)
        drawn = self._probability(images, maps)
        if self.embedding == "map":
            return drawn
        both = (functional.normalize(drawn, dim=1), functional.normalize(self._spatial(maps), dim=1))
        return torch.cat(both, 1)

    def _spatial(self, maps: list[Tensor]) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(self.spatial(maps[2]).float(), self.spatial_side)
        return pooled.flatten(1)

    def _probability(self, images: Tensor, maps: list[Tensor]) -> Tensor:
        probability = self.lesion(maps).float().sigmoid()
        if self.shape.mirrored:
            again: Tensor = self.lesion(self.maps(images.flip(3)))
            probability = (probability + again.float().sigmoid().flip(3)) / 2
        return map_vector(probability, self.shape)


def map_vector(probability: Tensor, shape: MapShape) -> Tensor:
    """Lesion probabilities (n, 1, h, w) to vectors (n, side * side): blurred, pooled, raised."""
    if shape.blur:
        radius = max(round(3 * shape.blur), 1)
        axis = torch.arange(-radius, radius + 1, device=probability.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (axis / shape.blur) ** 2)
        kernel = kernel / kernel.sum()
        probability = functional.conv2d(probability, kernel.view(1, 1, -1, 1), padding=(radius, 0))
        probability = functional.conv2d(probability, kernel.view(1, 1, 1, -1), padding=(0, radius))
    if probability.shape[-1] != shape.side:
        probability = functional.adaptive_avg_pool2d(probability, shape.side)
    return probability.clamp_min(_FLOOR).pow(shape.power).flatten(1)
