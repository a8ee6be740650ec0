"""Maps of a tower at four strides, and a light decoder that draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.towers.mobilenet import ConvBnRelu, MobileNetV2
from training.towers.resnet import ResNet18

STAGES: Final = 4
_ENDS: Final = (3, 6, 13, 17)  # blocks after which the stride is 4, 8, 16, 32


class Pyramid(nn.Module):
    """A tower's maps at the strides 4, 8, 16 and 32; its first stages may be frozen, batch statistics too.

    Attributes:
        tower: whose maps they are.
        channels: of each map.
    """

    channels: tuple[int, ...]

    def __init__(self, tower: nn.Module, frozen_stages: int) -> None:
        super().__init__()
        self.tower = tower
        self._frozen = self.stages()[:frozen_stages]
        for part in self._frozen:
            part.requires_grad_(requires_grad=False)

    def stages(self) -> list[nn.Module]:
        """What leads to each map, in order."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> list[Tensor]:
        """(n, 3, h, w) to maps (n, c, h / stride, w / stride)."""
        maps, x = [], images
        for number, stage in enumerate(self.stages()):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number >= len(self._frozen)):
                x = stage(x)
            maps.append(x)
        return maps

    def train(self, mode: bool = True) -> Pyramid:
        """Frozen stages stay as they are."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


class MobilePyramid(Pyramid):
    """MobileNetV2's."""

    tower: MobileNetV2
    channels = (24, 32, 96, 1280)

    def __init__(self, tower: MobileNetV2, frozen_stages: int = 0) -> None:
        super().__init__(tower, frozen_stages)

    def stages(self) -> list[nn.Module]:
        """The stem and the blocks up to each end, and the head."""
        tower = self.tower
        starts = (0, *_ENDS[:-1])
        blocks = list(tower.blocks)
        parts = [nn.Sequential(*blocks[a:b]) for a, b in zip(starts, _ENDS, strict=True)]
        return [nn.Sequential(tower.stem, parts[0]), *parts[1:-1], nn.Sequential(parts[-1], tower.head)]


class ResNetPyramid(Pyramid):
    """ResNet-18's."""

    tower: ResNet18
    channels = (64, 128, 256, 512)

    def __init__(self, tower: ResNet18, frozen_stages: int = 0) -> None:
        super().__init__(tower, frozen_stages)

    def stages(self) -> list[nn.Module]:
        """The stem with the first layer, and the other layers."""
        tower = self.tower
        stem = (tower.conv1, tower.bn1, nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        layers = [tower.get_submodule(f"layer{number}") for number in range(1, STAGES + 1)]
        return [nn.Sequential(*stem, layers[0]), *layers[1:]]


class MapDecoder(nn.Module):
    """One logit a cell at stride 4, from the coarse maps up, each joined by the finer one.

    Source:
        Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015; thinner than theirs.
    """

    def __init__(self, channels: Sequence[int], width: int = 64) -> None:
        super().__init__()
        self.top = ConvBnRelu(channels[-1], 2 * width, 1, 1)
        inner = [2 * width, 2 * width, width, width]
        self.joins = nn.ModuleList(
            ConvBnRelu(inner[k] + channel, inner[k + 1], 3, 1)
            for k, channel in enumerate(reversed(channels[:-1]))
        )
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps from fine to coarse to (n, 1, h / 4, w / 4)."""
        x = self.top(maps[-1])
        for join, finer in zip(self.joins, reversed(maps[:-1]), strict=True):
            risen = functional.interpolate(x, size=finer.shape[2:], mode="bilinear", align_corners=False)
            x = join(torch.cat([risen, finer], 1))
        drawn: Tensor = self.out(x)
        return drawn


class PictureDecoder(nn.Module):
    """A picture of 64 x 64 drawn from one vector."""

    side = 64

    def __init__(self, dimension: int, width: int = 32) -> None:
        super().__init__()
        self.width = width
        self.seed = nn.Linear(dimension, 4 * width * 64)
        self.rise = nn.Sequential(
            *_doubled(4 * width, 2 * width), *_doubled(2 * width, width), *_doubled(width, width // 2)
        )
        self.out = nn.Conv2d(width // 2, 1, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, dimension) to (n, 1, 64, 64), unbounded."""
        x = functional.relu(self.seed(vectors)).view(-1, 4 * self.width, 8, 8)
        drawn: Tensor = self.out(self.rise(x))
        return drawn


def _doubled(i: int, o: int) -> tuple[nn.Module, nn.Module]:
    return nn.Upsample(scale_factor=2.0, mode="nearest"), ConvBnRelu(i, o, 3, 1)
