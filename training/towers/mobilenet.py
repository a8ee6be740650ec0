"""MobileNetV2, its parameters named as in the ImageNet weights of the Gluon model zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from training.errors import TrainingError

BLOCKS: Final = (
    # in, out, expansion, stride; the first block, too, has its 1x1 expansion
    (32, 16, 1, 1),
    (16, 24, 6, 2), (24, 24, 6, 1),
    (24, 32, 6, 2), (32, 32, 6, 1), (32, 32, 6, 1),
    (32, 64, 6, 2), (64, 64, 6, 1), (64, 64, 6, 1), (64, 64, 6, 1),
    (64, 96, 6, 1), (96, 96, 6, 1), (96, 96, 6, 1),
    (96, 160, 6, 2), (160, 160, 6, 1), (160, 160, 6, 1),
    (160, 320, 6, 1),
)  # fmt: skip


class ConvBnRelu(nn.Sequential):
    """Convolution, batch norm and plain ReLU (not ReLU6, as in those weights)."""

    def __init__(self, i: int, o: int, size: int, stride: int, groups: int = 1, *, act: bool = True) -> None:
        super().__init__(
            nn.Conv2d(i, o, size, stride, size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU() if act else nn.Identity(),
        )


class LinearBottleneck(nn.Module):
    """Expand, filter each channel, project; added to its input where the shapes allow."""

    def __init__(self, i: int, o: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = i * expansion
        self.skip = stride == 1 and i == o
        self.a = ConvBnRelu(i, wide, 1, 1)
        self.b = ConvBnRelu(wide, wide, 3, stride, wide)
        self.c = ConvBnRelu(wide, o, 1, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, i, h, w) to (n, o, h / stride, w / stride)."""
        y: Tensor = self.c(self.b(self.a(x)))
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """1280 dimensions at stride 32, 2.2 million parameters.

    Source:
        Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    dimension = 1280

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBnRelu(3, 32, 3, 2)
        self.blocks = nn.Sequential(*[LinearBottleneck(*block) for block in BLOCKS])
        self.head = ConvBnRelu(320, self.dimension, 1, 1)

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1280, h / 32, w / 32)."""
        mapped: Tensor = self.head(self.blocks(self.stem(images)))
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1280): the map's average."""
        return self.feature_map(images).mean((2, 3))


def load_weights(tower: nn.Module, path: Path) -> None:
    """Take a tower's weights from a .safetensors file; float16 becomes float32.

    Raises:
        TrainingError: the file is missing or broken, or its tensors are not this tower's.
    """
    try:
        tower.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except FileNotFoundError as error:
        raise TrainingError(f"{path} is missing: name the file with the initial weights.") from error
    except (RuntimeError, SafetensorError) as error:
        raise TrainingError(f"{path} does not hold the weights of {type(tower).__name__}: {error}") from error
