"""The honest floor: an encoder that only looks at a frame of 32 x 32 grey pixels.

`python -m training.grey32 OUT` writes OUT/encoder.onnx and OUT/card.json; the same bytes every time.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.card import CARD_NAME, ONNX_NAME, Card, Input, Licence, Outputs, Parity
from inference.encoder import fingerprint, reference_input

SIDE: Final = 32
DIMENSION: Final = SIDE * SIDE
_EPSILON: Final = 1e-3
_PARITY_VALUES: Final = 16


def build_model() -> onnx.ModelProto:
    """(n, 1, 32, 32) to (n, 1024): mean removed, unit length.

    A constant frame gives zeros, never NaN: a norm below 1e-3 is rounding, not a picture.
    """
    nodes = [
        helper.make_node("Flatten", ["frames"], ["flat"], axis=1),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        helper.make_node("ReduceL2", ["centred", "axes"], ["norm"], keepdims=1),
        helper.make_node("Max", ["norm", "epsilon"], ["safe_norm"]),
        helper.make_node("Div", ["centred", "safe_norm"], ["unit"]),
        helper.make_node("Greater", ["norm", "epsilon"], ["varies"]),
        helper.make_node("Where", ["varies", "unit", "zero"], ["embedding"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "axes": np.array([1], dtype=np.int64),
        "epsilon": np.array(_EPSILON, dtype=np.float32),
        "zero": np.array(0, dtype=np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "grey32",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIMENSION])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="pacs-cbir"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def build_card(onnx_bytes: bytes) -> Card:
    """The card that belongs to these bytes; the parity values are computed here, not by ONNX Runtime."""
    card = Card(
        name="grey32",
        version="1",
        modalities=("*",),
        input=Input(name="frames", channels=1, height=SIDE, width=SIDE, resize="stretch"),
        outputs=Outputs(embedding="embedding"),
        dimension=DIMENSION,
        onnx_sha256=hashlib.sha256(onnx_bytes).hexdigest(),
        licence=Licence(code="Apache-2.0", weights="none: nothing is learned", commercial_use=True),
        training_data="None.",
        intended_use=(
            "The floor that every learned encoder must beat, and a retrieval that works without one. It "
            "finds frames whose light and dark areas lie alike; it knows nothing of anatomy or disease."
        ),
        parity=Parity(first_values=(0.0,), checksum=0.0, tolerance=1e-5),
    )
    first, checksum = fingerprint(_expected(reference_input(card)), _PARITY_VALUES)
    parity = Parity(first_values=first, checksum=checksum, tolerance=1e-5)
    return card.model_copy(update={"parity": parity})


def write(folder: Path) -> None:
    """Write encoder.onnx and card.json."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx_bytes = build_model().SerializeToString(deterministic=True)
    (folder / ONNX_NAME).write_bytes(onnx_bytes)
    (folder / CARD_NAME).write_text(
        build_card(onnx_bytes).model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
    )


def _expected(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = frames.astype(np.float64).ravel()
    centred = flat - flat.mean()
    return np.asarray(centred / np.linalg.norm(centred), dtype=np.float32)


def main() -> None:
    """Write the encoder into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the grey32 encoder.")
    parser.add_argument("out", type=Path, help="folder for encoder.onnx and card.json")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
