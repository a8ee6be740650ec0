"""Published ImageNet weights of networks that we define: the encoders a trained one is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from torch import nn

from training.errors import TrainingError
from training.export.runs import input_of
from training.export.source import Source
from training.towers.mobilenet import MobileNetV2, load_weights
from training.towers.resnet import ResNet50V2Trunk

SUFFIX: Final = ".safetensors"
_SIDE: Final = 224
_NETWORKS: Final[tuple[type[nn.Module], ...]] = (MobileNetV2, ResNet50V2Trunk)


def open_weights(file: Path) -> Source:
    """The network whose parameters the file holds.

    Raises:
        TrainingError: the file is missing, or is of a network that is not defined here.
    """
    for network in _NETWORKS:
        tower = network()
        try:
            load_weights(tower, file)
        except TrainingError:
            if not file.is_file():
                raise
            continue
        return Source(tower.eval(), input_of(_SIDE))
    raise TrainingError(
        f"{file} holds the weights of none of {', '.join(network.__name__ for network in _NETWORKS)}."
    )
