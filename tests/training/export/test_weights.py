"""ImageNet weights as a source of an encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training.errors import TrainingError
from training.export.sources import open_source
from training.export.weights import open_weights
from training.towers.mobilenet import MobileNetV2
from training.towers.resnet import ResNet50V2Trunk


@pytest.mark.parametrize("network", [MobileNetV2, ResNet50V2Trunk])
def test_a_file_of_weights_tells_its_network(network: type[nn.Module], tmp_path: Path) -> None:
    tower = network().eval()
    save_file(tower.state_dict(), tmp_path / "imagenet.safetensors")
    source = open_source(str(tmp_path / "imagenet.safetensors"))
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(source.tower(images), tower(images))
    assert (source.input.height, source.input.resize) == (224, "letterbox")


def test_weights_of_an_unknown_network_are_refused(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match="of none of MobileNetV2, ResNet50V2Trunk"):
        open_weights(tmp_path / "other.safetensors")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is missing"):
        open_weights(tmp_path / "none.safetensors")
