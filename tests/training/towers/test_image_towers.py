from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, ResNetConfig, ResNetModel, ViTConfig, ViTModel

from training.errors import TrainingError
from training.towers.huggingface import HuggingFaceVision
from training.towers.mobilenet import load_weights
from training.towers.resnet import ResNet18, ResNet50, ResNet50V2Trunk
from training.towers.tower import ImageTower
from training.towers.trunks import Trunks, make_trunk
from training.towers.vit import VisionTransformer


def parameters(tower: nn.Module) -> float:
    """In millions."""
    return sum(p.numel() for p in tower.parameters()) / 1e6


@pytest.mark.parametrize(
    ("tower", "dimension", "stride", "millions"),
    [
        (ResNet18(), 512, 32, 11.18),
        (ResNet50(), 2048, 32, 23.51),
        (ResNet50V2Trunk(), 1024, 16, 8.54),
        (VisionTransformer(), 192, 16, 5.52),
    ],
    ids=["resnet18", "resnet50", "resnet50v2", "vit"],
)
def test_a_tower_gives_a_map_and_its_mean(
    tower: nn.Module, dimension: int, stride: int, millions: float
) -> None:
    assert isinstance(tower, ImageTower)
    tower.eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        mapped, pooled = tower.feature_map(images), tower(images)
    assert mapped.shape == (2, dimension, 64 // stride, 96 // stride)
    assert tower.dimension == dimension
    torch.testing.assert_close(pooled, mapped.mean((2, 3)))
    assert parameters(tower) == pytest.approx(millions, abs=0.01)


def test_a_resnet_of_one_channel_takes_grey_images() -> None:
    assert ResNet18(channels=1)(torch.randn(2, 1, 32, 32)).shape == (2, 512)


def test_a_vision_transformer_refuses_what_is_no_multiple_of_its_patch() -> None:
    with pytest.raises(TrainingError, match="multiple"):
        VisionTransformer()(torch.randn(1, 3, 60, 64))


def test_a_vision_transformer_tells_the_same_patches_in_another_place_apart() -> None:
    tower = VisionTransformer(side=32, dimension=48, depth=1).eval()
    images = torch.randn(1, 3, 32, 32)
    moved = images.flip(3).roll(0)
    assert not torch.allclose(tower(images), tower(moved), atol=1e-4)


@pytest.mark.shared_data
@pytest.mark.skipif("CBIR_TEST_DATA" not in os.environ, reason="CBIR_TEST_DATA names no benchmark images")
def test_the_imagenet_weights_of_resnet50_v2_fit() -> None:
    weights = Path(os.environ["CBIR_TEST_DATA"]) / "weights" / "resnet50v2_stage3_gluon.safetensors"
    tower = ResNet50V2Trunk().eval()
    load_weights(tower, weights)
    with torch.inference_mode():
        found = tower(torch.zeros(1, 3, 64, 64))
    assert torch.isfinite(found).all()
    assert float(found.std()) > 0.0
    with pytest.raises(TrainingError, match="ResNet18"):
        load_weights(ResNet18(), weights)


def test_two_trunks_are_one_tower_on_the_coarser_grid() -> None:
    tower = Trunks(ResNet18(), ResNet50V2Trunk()).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        mapped = tower.feature_map(images)
        fine = tower.towers[1](images)
    assert mapped.shape == (1, 512 + 1024, 2, 2)
    torch.testing.assert_close(mapped[:, 512:].mean((2, 3)), fine)


def test_a_hugging_face_vision_transformer_leaves_its_class_token_out(tmp_path: Path) -> None:
    configuration = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32,
        patch_size=8,
    )  # fmt: skip
    ViTModel(configuration, add_pooling_layer=False).save_pretrained(tmp_path)
    tower = HuggingFaceVision.open(tmp_path).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        mapped = tower.feature_map(images)
        states = tower.model(pixel_values=images).last_hidden_state
    assert mapped.shape == (2, 32, 4, 4)
    torch.testing.assert_close(mapped[:, :, 0, 1], states[:, 2])
    torch.testing.assert_close(tower(images), states[:, 1:].mean(dim=1))


def test_a_hugging_face_resnet_gives_its_own_map(tmp_path: Path) -> None:
    configuration = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(configuration).save_pretrained(tmp_path)
    tower = HuggingFaceVision.open(tmp_path).eval()
    assert tower.dimension == 16
    assert tower.feature_map(torch.randn(1, 3, 64, 64)).shape[:2] == (1, 16)


def test_the_image_side_of_a_clip_folder_is_a_tower(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    configuration = CLIPConfig(
        text_config={**small, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    CLIPModel(configuration).save_pretrained(tmp_path)
    tower = HuggingFaceVision.open(tmp_path).eval()
    assert tower(torch.randn(1, 3, 32, 32)).shape == (1, 32)


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Hugging Face vision model"):
        HuggingFaceVision.open(tmp_path)
    with pytest.raises(TrainingError, match="needs its folder"):
        make_trunk("huggingface")
