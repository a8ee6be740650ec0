from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.errors import TrainingError
from training.towers.mobilenet import MobileNetV2, load_weights
from training.towers.resnet import ResNet18
from training.towers.tower import ImageTower


def test_the_map_has_stride_32_and_its_mean_is_the_vector() -> None:
    tower = MobileNetV2().eval()
    assert isinstance(tower, ImageTower)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        mapped = tower.feature_map(images)
        torch.testing.assert_close(tower(images), mapped.mean((2, 3)))
    assert mapped.shape == (2, tower.dimension, 2, 3)


def test_it_has_the_parameters_of_the_imagenet_model_without_its_classifier() -> None:
    assert sum(p.numel() for p in MobileNetV2().parameters()) == 2_224_960


def test_weights_of_half_precision_become_single(tmp_path: Path) -> None:
    given = MobileNetV2()
    state = {name: v.half() if v.is_floating_point() else v for name, v in given.state_dict().items()}
    save_file(state, tmp_path / "half.safetensors")
    taken = MobileNetV2()
    load_weights(taken, tmp_path / "half.safetensors")
    assert {p.dtype for p in taken.parameters()} == {torch.float32}
    torch.testing.assert_close(taken.stem[0].weight, given.stem[0].weight, atol=1e-3, rtol=1e-3)


def test_weights_that_are_missing_broken_or_another_tower_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is missing"):
        load_weights(MobileNetV2(), tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(TrainingError, match="does not hold the weights of MobileNetV2"):
        load_weights(MobileNetV2(), tmp_path / "broken.safetensors")
    save_file(ResNet18().state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match="does not hold the weights of MobileNetV2"):
        load_weights(MobileNetV2(), tmp_path / "other.safetensors")


@pytest.mark.shared_data
@pytest.mark.skipif("CBIR_TEST_DATA" not in os.environ, reason="CBIR_TEST_DATA names no benchmark images")
def test_the_imagenet_weights_fit_and_say_something() -> None:
    tower = MobileNetV2()
    load_weights(tower, Path(os.environ["CBIR_TEST_DATA"]) / "weights" / "mobilenetv2_100_gluon.safetensors")
    with torch.inference_mode():
        vectors = tower.eval()(torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)))
    assert (vectors >= 0).all()  # after the last ReLU
    assert 0.1 < float(vectors.mean()) < 3
