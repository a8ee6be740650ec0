"""An image tower becomes an encoder's folder, or an error with the figures."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from torch import nn

from inference.card import CARD_NAME, ONNX_NAME, Card, Outputs, Parity
from inference.encoder import OnnxEncoder, fingerprint, reference_input
from inference.preprocess import Pixels
from training.export.description import EncoderDescription
from training.export.graph import EMBEDDING, FEATURE_MAP, POOLED, frame_graph
from training.export.parity import Agreement, Precision, inputs_of, onnx_embeddings, torch_embeddings

_PARITY_VALUES: Final = 16
_TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 5e-3, "int8": 2e-2}


def export_encoder(
    tower: nn.Module,
    folder: Path,
    describe: EncoderDescription,
    *,
    images: Sequence[Pixels],
) -> Card:
    """Write encoder.onnx and card.json once the graph was held against the module.

    Args:
        tower: `feature_map(images)` gives (n, c, h, w), `forward(images)` (n, d), of (n, 3, h, w).
        folder: made where it is missing; a former encoder in it is replaced.
        describe: what the card says and cannot be computed.
        images: rendered frames, float32 in [0, 1], (rows, columns) or (rows, columns, 3), of the kind
            that will be embedded; parity is checked on them.

    Returns:
        The card that was written.

    Raises:
        EncoderError: the module cannot be written as ONNX, or ONNX Runtime answers otherwise than torch
            by 1e-4 or more; the folder is as it was before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs = inputs_of(images, describe.input.preprocessing)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as name:
        draft = Path(name)
        frame = frame_graph(tower, describe.input)
        (draft / ONNX_NAME).write_bytes(frame.SerializeToString(deterministic=True))
        expected = torch_embeddings(tower, inputs)
        agreement = Agreement.of(expected, onnx_embeddings(draft / ONNX_NAME, inputs, EMBEDDING))
        agreement.require("fp32")
        card = _card(draft, describe, expected.shape[1], "fp32")
        (draft / CARD_NAME).write_text(
            card.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
        )
        OnnxEncoder(draft, providers=["CPUExecutionProvider"], threads=1)
        for file in (ONNX_NAME, CARD_NAME):
            (draft / file).replace(folder / file)
    return card


def _card(draft: Path, describe: EncoderDescription, dimension: int, precision: Precision) -> Card:
    tolerance = _TOLERANCE[precision]
    card = Card(
        **dict(describe),
        outputs=Outputs(embedding=EMBEDDING, pooled=POOLED, feature_map=FEATURE_MAP),
        dimension=dimension,
        onnx_sha256=hashlib.sha256((draft / ONNX_NAME).read_bytes()).hexdigest(),
        parity=Parity(first_values=(0.0,), checksum=0.0, tolerance=tolerance),
    )
    answer = onnx_embeddings(draft / ONNX_NAME, reference_input(card), EMBEDDING)[0]
    unit = answer / max(float((answer**2).sum()) ** 0.5, 1e-12)
    first, checksum = fingerprint(unit, min(_PARITY_VALUES, dimension))
    parity = Parity(first_values=first, checksum=checksum, tolerance=tolerance)
    return card.model_copy(update={"parity": parity})
