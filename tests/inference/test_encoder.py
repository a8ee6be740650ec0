from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference.card import EncoderError, load_card
from inference.encoder import OnnxEncoder, check_runtime, reference_input
from tests.inference.conftest import GREY32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GREY32, tmp_path / "encoder"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["onnx_sha256"] = hashlib.sha256((folder / "encoder.onnx").read_bytes()).hexdigest()
    change(card)
    path.write_text(json.dumps(card))
    return folder


def replace_model(folder: Path, nodes: list[onnx.NodeProto], batch: str | int = "n") -> Path:
    """Another model with the same input and output as grey32."""
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [batch, 1, 32, 32])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 1024])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "encoder.onnx").write_bytes(model.SerializeToString())
    return rewrite(folder, lambda _card: None)


def test_rows_are_unit_vectors_and_do_not_depend_on_their_batch(encoder: OnnxEncoder) -> None:
    batch = np.random.default_rng(4).random((5, 1, 32, 32), dtype=np.float32)
    vectors = encoder.encode(batch)
    assert vectors.shape == (5, 1024)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[2:3], encoder.encode(batch[2:3]), atol=1e-6)


def test_a_frame_without_a_vector_has_a_zero_row_and_leaves_the_others_alone(encoder: OnnxEncoder) -> None:
    batch = np.random.default_rng(4).random((4, 1, 32, 32), dtype=np.float32)
    batch[1], batch[2, 0, 0, 0] = 0.3, np.nan
    vectors = encoder.encode(batch)
    assert not vectors[1].any()
    assert not vectors[2].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 3]], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 31, 32), (1, 32, 32)])
def test_a_batch_of_another_shape_is_refused(encoder: OnnxEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="batch"):
        encoder.encode(np.zeros(shape, np.float32))


def test_the_provider_that_is_used_is_reported(encoder: OnnxEncoder) -> None:
    assert encoder.providers[-1] == "CPUExecutionProvider"


def test_a_provider_that_is_not_there_is_refused_with_advice(folder: Path) -> None:
    with pytest.raises(EncoderError, match="CBIR_PROVIDERS"):
        OnnxEncoder(folder, providers=["NoSuchExecutionProvider"])


def test_an_answer_other_than_the_cards_is_refused(folder: Path) -> None:
    def spoil(card: dict[str, Any]) -> None:
        card["parity"]["first_values"][3] += 0.01

    with pytest.raises(EncoderError, match="reference input"):
        OnnxEncoder(rewrite(folder, spoil))


def test_a_model_that_answers_nan_is_refused(folder: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["frames"], ["flat"], axis=1),
        helper.make_node("Sub", ["flat", "flat"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["embedding"]),
    ]
    with pytest.raises(EncoderError, match="reference input"):
        OnnxEncoder(replace_model(folder, nodes))


def test_a_model_with_a_fixed_batch_is_refused(folder: Path) -> None:
    nodes = [helper.make_node("Flatten", ["frames"], ["embedding"], axis=1)]
    with pytest.raises(EncoderError, match="input"):
        OnnxEncoder(replace_model(folder, nodes, batch=1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda card: card["input"].update(name="pixels"), "inputs"),
        (lambda card: card["outputs"].update(embedding="vector"), "outputs"),
        (lambda card: card["input"].update(height=64), "input"),
        (lambda card: card.update(dimension=512), "embedding"),
    ],
)
def test_a_model_that_contradicts_its_card_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    with pytest.raises(EncoderError, match=named):
        OnnxEncoder(rewrite(folder, change))


def test_a_file_that_is_no_model_is_refused(folder: Path) -> None:
    (folder / "encoder.onnx").write_bytes(b"not a model")
    with pytest.raises(EncoderError, match="cannot load"):
        OnnxEncoder(rewrite(folder, lambda _card: None))


@pytest.mark.parametrize(
    ("installed", "advice"), [((), "not installed"), (("onnxruntime", "onnxruntime-gpu"), "pip uninstall")]
)
def test_exactly_one_runtime_may_be_installed(
    monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], advice: str
) -> None:
    def version(distribution: str) -> str:
        if distribution not in installed:
            raise metadata.PackageNotFoundError(distribution)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(EncoderError, match=advice):
        check_runtime()


def test_one_runtime_is_installed_here() -> None:
    check_runtime()


def test_the_reference_input_is_the_same_everywhere() -> None:
    values = reference_input(load_card(GREY32)).ravel()
    assert values[:3].tolist() == pytest.approx([0.0, 2654435761 / 2**32, (2 * 2654435761 % 2**32) / 2**32])
    assert values.max() < 1
