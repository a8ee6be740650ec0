"""Small real encoders, written by a test: ONNX files with their cards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.card import CARD_NAME, ONNX_NAME, Card, Input, Licence, Outputs, Parity
from inference.encoder import fingerprint, reference_input

SAME = 1e-4


def write_encoder(
    encoders_dir: Path,
    name: str,
    *,
    side: int = 16,
    modalities: tuple[str, ...] = ("*",),
    commercial_use: bool = True,
    collapsed: bool = False,
    named_outputs: Outputs | None = None,
) -> Path:
    """The squares of side x side grey levels, their mean removed; gives the encoder's folder.

    A collapsed one answers nearly the same to every frame.
    """
    folder = encoders_dir / name
    folder.mkdir(parents=True)
    content = _model(side, collapsed).SerializeToString(deterministic=True)
    (folder / ONNX_NAME).write_bytes(content)
    card = Card(
        name=name,
        version="1",
        modalities=modalities,
        input=Input(name="frames", channels=1, height=side, width=side, resize="stretch"),
        outputs=named_outputs or Outputs(embedding="embedding"),
        dimension=side * side,
        onnx_sha256=hashlib.sha256(content).hexdigest(),
        licence=Licence(code="Apache-2.0", weights="of a test", commercial_use=commercial_use),
        training_data="None.",
        intended_use="Tests.",
        parity=Parity(first_values=(0.0,), checksum=0.0, tolerance=SAME),
    )
    first, checksum = fingerprint(_expected(reference_input(card), collapsed), 8)
    parity = Parity(first_values=first, checksum=checksum, tolerance=SAME)
    (folder / CARD_NAME).write_text(card.model_copy(update={"parity": parity}).model_dump_json())
    return folder


def _model(side: int, collapsed: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["frames", "frames"], ["squares"]),
        helper.make_node("Flatten", ["squares"], ["flat"], axis=1),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        helper.make_node("Add", ["centred", "pull"], ["embedding"]),
        helper.make_node("ReduceMean", ["frames", "channels"], ["feature_map"], keepdims=1),
    ]
    constants: dict[str, NDArray[Any]] = {
        "axes": np.array([1], dtype=np.int64),
        "channels": np.array([1], dtype=np.int64),
        "pull": np.array(100.0 if collapsed else 0.0, dtype=np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", 1, side, side])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", side * side]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["n", 1, side, side]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _expected(frames: NDArray[np.float32], collapsed: bool) -> NDArray[np.float32]:
    flat = frames.astype(np.float64).ravel() ** 2
    pulled = flat - flat.mean() + (100.0 if collapsed else 0.0)
    return np.asarray(pulled / np.linalg.norm(pulled), dtype=np.float32)
