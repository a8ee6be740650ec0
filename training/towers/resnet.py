"""ResNet-18 and ResNet-50, and the first three stages of ResNet-50 v2 with ImageNet weights at hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_STAGES_18: Final = (2, 2, 2, 2)
_STAGES_50: Final = (3, 4, 6, 3)
_STAGES_50_V2: Final = (3, 4, 6)
_STEM: Final = 64


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    expansion = 1

    def __init__(self, i: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(i, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(i, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, i, h, w) to (n, width, h / stride, w / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 down, 3x3 (which strides), 1x1 up, beside the identity."""

    expansion = 4

    def __init__(self, i: int, width: int, stride: int) -> None:
        super().__init__()
        o = width * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(i, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, o, 1, bias=False), nn.BatchNorm2d(o)
        self.downsample = _shortcut(i, o, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, i, h, w) to (n, 4 width, h / stride, w / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    """A residual network at stride 32, its parameters named as torchvision names them, without classifier.

    Source:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; the stride of a bottleneck
        stands in its 3x3 convolution (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
    """

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], units: tuple[int, ...], channels: int = 3
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, _STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        i = _STEM
        for stage, count in enumerate(units):
            width = _STEM * 2**stage
            blocks = []
            for unit in range(count):
                blocks.append(block(i, width, 2 if stage and not unit else 1))
                i = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.dimension = i
        self.stages = len(units)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, dimension, h / 32, w / 32)."""
        mapped = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        for stage in range(self.stages):
            mapped = self.get_submodule(f"layer{stage + 1}")(mapped)
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, dimension): the map's average."""
        return self.feature_map(images).mean((2, 3))


class ResNet18(ResNet):
    """512 dimensions at stride 32, 11.2 million parameters."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(BasicBlock, _STAGES_18, channels)


class ResNet50(ResNet):
    """2048 dimensions at stride 32, 23.5 million parameters."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(Bottleneck, _STAGES_50, channels)


class PreActivationBottleneck(nn.Module):
    """Norm and ReLU before each convolution; the first of a stage projects its input."""

    def __init__(self, i: int, o: int, stride: int, *, projects: bool) -> None:
        super().__init__()
        width = o // 4
        self.bn1, self.c1 = nn.BatchNorm2d(i), nn.Conv2d(i, width, 1, bias=False)
        self.bn2, self.c2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3, self.c3 = nn.BatchNorm2d(width), nn.Conv2d(width, o, 1, bias=False)
        self.d = nn.Conv2d(i, o, 1, stride, bias=False) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, i, h, w) to (n, o, h / stride, w / stride)."""
        y = functional.relu(self.bn1(x))
        skip = x if self.d is None else self.d(y)
        y = self.c1(y)
        y = self.c2(functional.relu(self.bn2(y)))
        y = self.c3(functional.relu(self.bn3(y)))
        return torch.add(y, skip)


class ResNet50V2Trunk(nn.Module):
    """Stages 1 to 3 of ResNet-50 v2: 1024 dimensions at stride 16, 8.6 million parameters.

    Its parameters are named as in the ImageNet weights of the Gluon model zoo.

    Source:
        He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016.
    """

    dimension = 1024

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, _STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        widths = (_STEM, *(256 * 2**stage for stage in range(len(_STAGES_50_V2))))
        self.stages = nn.Sequential(
            *[
                nn.Sequential(
                    PreActivationBottleneck(i, o, 2 if stage else 1, projects=True),
                    *[PreActivationBottleneck(o, o, 1, projects=False) for _ in range(count - 1)],
                )
                for stage, (count, (i, o)) in enumerate(zip(_STAGES_50_V2, pairwise(widths), strict=True))
            ]
        )
        self.post = nn.BatchNorm2d(self.dimension)

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1024, h / 16, w / 16)."""
        mapped = functional.relu(self.bn1(self.conv(self.bn0(images))))
        mapped = self.stages(functional.max_pool2d(mapped, 3, 2, 1))
        return functional.relu(self.post(mapped))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1024): the map's average."""
        return self.feature_map(images).mean((2, 3))


def _shortcut(i: int, o: int, stride: int) -> nn.Module:
    if stride == 1 and i == o:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
