"""The encoders that ship: complete, small, free to use, and what they promise of their outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from cbir.settings import Settings
from evaluation.collapse import spread_of
from evaluation.embedding import FrameEmbedding, embed_images
from inference.card import ONNX_NAME
from inference.encoder import OnnxEncoder, reference_input
from tests.fakes.benchmark import shapes

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir())
MEGABYTES = 10**6


@pytest.mark.parametrize("name", SHIPPED)
def test_it_loads_is_small_and_may_be_used_by_anybody(name: str) -> None:
    encoder = OnnxEncoder(MODELS / name, threads=1)
    assert encoder.card.name == name
    assert encoder.card.licence.commercial_use
    assert encoder.card.serves("MR")
    assert (MODELS / name / ONNX_NAME).stat().st_size <= 25 * MEGABYTES


def test_the_default_is_the_trained_one_and_names_every_licence() -> None:
    assert Settings().encoder == "radiology-small"
    licence = OnnxEncoder(MODELS / "radiology-small", threads=1).card.licence
    assert "ImageNet" in licence.initial_weights
    assert "CC BY" in licence.training_labels


def test_the_average_of_the_feature_map_is_the_embedding() -> None:
    encoder = OnnxEncoder(MODELS / "radiology-small", threads=1)
    session = onnxruntime.InferenceSession(
        MODELS / "radiology-small" / ONNX_NAME, providers=["CPUExecutionProvider"]
    )
    frames = np.concatenate([reference_input(encoder.card), 0.5 * reference_input(encoder.card)])
    embedding, pooled, mapped = session.run(["embedding", "pooled", "feature_map"], {"frames": frames})
    np.testing.assert_allclose(mapped.mean(axis=(2, 3)), embedding, atol=1e-4)
    units = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    mean = units.mean(axis=0)
    np.testing.assert_allclose(pooled[0], mean / np.linalg.norm(mean), atol=1e-4)


def test_the_trained_one_has_not_collapsed(tmp_path: Path) -> None:
    benchmark = shapes(tmp_path / "bench", subjects=24)
    encoder = OnnxEncoder(MODELS / "radiology-small", threads=1)
    vectors = embed_images(benchmark, FrameEmbedding(encoder)).vector
    assert not spread_of(vectors).is_collapsed
