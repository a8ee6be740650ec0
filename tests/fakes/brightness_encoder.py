"""A small real encoder with a feature map: how much of each cell of a frame has which brightness."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.card import CARD_NAME, ONNX_NAME, Card, Input, Licence, Outputs, Parity
from inference.encoder import fingerprint, reference_input
from inference.preprocess import Resize

LEVELS: Final = 8
BLOCK: Final = 4
CELLS: Final = 14


def write_brightness_encoder(
    folder: Path, *, resize: Resize = "letterbox", modalities: tuple[str, ...] = ("*",)
) -> Path:
    """Averages over CELLS x CELLS cells of how near each pixel is to each of LEVELS grey levels.

    The embedding is the average of the feature map, and the same wherever in the frame something is.
    """
    folder.mkdir(parents=True)
    side = CELLS * BLOCK
    content = _model(side).SerializeToString(deterministic=True)
    (folder / ONNX_NAME).write_bytes(content)
    card = Card(
        name="brightness",
        version="1",
        modalities=modalities,
        input=Input(name="frames", channels=1, height=side, width=side, resize=resize),
        outputs=Outputs(embedding="embedding", feature_map="feature_map"),
        dimension=LEVELS,
        onnx_sha256=hashlib.sha256(content).hexdigest(),
        licence=Licence(code="Apache-2.0", weights="of a test", commercial_use=True),
        training_data="None.",
        intended_use="Tests.",
        parity=Parity(first_values=(0.0,), checksum=0.0, tolerance=1e-3),
    )
    first, checksum = fingerprint(_expected(reference_input(card)), LEVELS)
    parity = Parity(first_values=first, checksum=checksum, tolerance=1e-3)
    (folder / CARD_NAME).write_text(card.model_copy(update={"parity": parity}).model_dump_json())
    return folder


def levels() -> NDArray[np.float32]:
    """The grey levels, from black to white."""
    return np.linspace(0, 1, LEVELS, dtype=np.float32)


def _model(side: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Sub", ["frames", "levels"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Mul", ["distance", "steepness"], ["steep"]),
        helper.make_node("Sub", ["one", "steep"], ["nearness"]),
        helper.make_node("Relu", ["nearness"], ["near"]),
        helper.make_node(
            "AveragePool", ["near"], ["feature_map"], kernel_shape=[BLOCK, BLOCK], strides=[BLOCK, BLOCK]
        ),
        helper.make_node("ReduceMean", ["feature_map", "places"], ["embedding"], keepdims=0),
    ]
    constants: dict[str, NDArray[Any]] = {
        "levels": levels().reshape(1, LEVELS, 1, 1),
        "steepness": np.array(LEVELS - 1, dtype=np.float32),
        "one": np.array(1.0, dtype=np.float32),
        "places": np.array([2, 3], dtype=np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", 1, side, side])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", LEVELS]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["n", LEVELS, CELLS, CELLS]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _expected(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    near = np.clip(1 - np.abs(frames - levels().reshape(1, LEVELS, 1, 1)) * (LEVELS - 1), 0, None)
    mean = near.mean(axis=(0, 2, 3))
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)
