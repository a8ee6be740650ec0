"""Small towers, pictures and descriptions to export."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from inference.card import Input, Licence
from inference.preprocess import Pixels
from training.export.description import EncoderDescription

SIDE = 32
INPUT = Input(
    name="frames",
    channels=3,
    height=SIDE,
    width=SIDE,
    resize="letterbox",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


class SmallTower(nn.Module):
    """Two convolutions with batch norms that have seen something, and a projection of the average."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.projection = nn.Linear(2 * width, 12)
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.running_mean = torch.linspace(-0.2, 0.2, part.num_features)
                    part.running_var = torch.linspace(0.5, 2.0, part.num_features)

    def feature_map(self, images: Tensor) -> Tensor:
        mapped: Tensor = self.layers(images)
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        vector: Tensor = self.projection(self.feature_map(images).mean((2, 3)))
        return vector


def small_tower() -> SmallTower:
    torch.manual_seed(11)
    return SmallTower()


def pictures(count: int, seed: int = 0) -> list[Pixels]:
    """Smooth random pictures of 40 x 50."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:40, 0:50] / 8.0
    drawn = [
        0.5
        + 0.5 * np.sin(rows * rng.uniform(0.2, 2) + rng.uniform(0, 6)) * np.cos(columns * rng.uniform(0.2, 2))
        for _ in range(count)
    ]
    return [np.asarray(picture, dtype=np.float32) for picture in drawn]


def description(wanted: Input = INPUT) -> EncoderDescription:
    return EncoderDescription(
        name="small",
        version="1",
        modalities=("CT",),
        input=wanted,
        licence=Licence(code="Apache-2.0", weights="Apache-2.0", commercial_use=True),
        training_data="None: weights are drawn.",
        intended_use="Tests.",
    )
