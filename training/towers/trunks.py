"""Image towers by name, and several side by side as one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.errors import TrainingError
from training.towers.huggingface import HuggingFaceVision
from training.towers.mobilenet import MobileNetV2
from training.towers.resnet import ResNet18, ResNet50, ResNet50V2Trunk
from training.towers.tower import ImageTower
from training.towers.vit import VisionTransformer

TrunkName = Literal["mobilenetv2", "resnet18", "resnet50", "resnet50v2", "vit", "huggingface"]


class Trunks(nn.Module):
    """Several image towers of one image, their maps on one grid and concatenated.

    Each map is brought to the smallest grid by averaging, which keeps its mean where the grid divides it.
    """

    def __init__(self, *towers: nn.Module) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)
        self.dimension = sum(_dimension(tower) for tower in towers)

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension, rows, columns)."""
        maps = [_as_tower(tower).feature_map(images) for tower in self.towers]
        grid = min((mapped.shape[2], mapped.shape[3]) for mapped in maps)
        return torch.cat([functional.adaptive_avg_pool2d(mapped, grid) for mapped in maps], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension)."""
        return self.feature_map(images).mean((2, 3))


def make_trunk(name: TrunkName, folder: Path | None = None, *, random: bool = True) -> nn.Module:
    """An image tower by its name; all but a Hugging Face folder's have random weights.

    Raises:
        TrainingError: a Hugging Face model without its folder.
    """
    if name == "huggingface":
        if folder is None:
            raise TrainingError("A Hugging Face vision model needs its folder: config.json and weights.")
        return HuggingFaceVision.open(folder, random=random)
    return _OWN[name]()


_OWN: dict[str, type[nn.Module]] = {
    "mobilenetv2": MobileNetV2,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "resnet50v2": ResNet50V2Trunk,
    "vit": VisionTransformer,
}


def _as_tower(module: nn.Module) -> ImageTower:
    if not isinstance(module, ImageTower):
        raise TrainingError(f"{type(module).__name__} has no feature map: it cannot be an image tower.")
    return module


def _dimension(module: nn.Module) -> int:
    return _as_tower(module).dimension
