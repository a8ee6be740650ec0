"""A model in torch becomes an encoder's folder, or an error with the figures."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from torch import nn

from indexer.domain import Vector
from inference.card import (
    CARD_NAME,
    ONNX_NAME,
    TEXT_ONNX_NAME,
    TOKENIZER_NAME,
    Card,
    EncoderError,
    Outputs,
    Parity,
    TextTower,
)
from inference.encoder import OnnxEncoder, fingerprint, reference_input, unit_rows
from inference.preprocess import Pixels
from inference.text import TextEncoder
from training.export.description import EncoderDescription
from training.export.graph import EMBEDDING, FEATURE_MAP, POOLED, frame_graph
from training.export.half import half_graph
from training.export.parity import (
    Agreement,
    Precision,
    cpu_session,
    inputs_of,
    onnx_embeddings,
    torch_embeddings,
)
from training.export.quantized import quantize_graph
from training.export.text import SENTENCES, TEXT_EMBEDDING, TextSource, text_graph, torch_text_embeddings

_PARITY_VALUES: Final = 16
_TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 5e-3, "int8": 2e-2}
_LARGEST_BYTES: Final = 2**31 - 1
_CPU: Final = ("CPUExecutionProvider",)


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, and how near it is to torch.

    Attributes:
        card: card.json.
        agreement: of the embeddings of the images.
        expected: torch's embeddings of the images, float32 (n, d).
        exported: those of encoder.onnx.
        text_agreement: of the text tower's, where there is one.
    """

    card: Card
    agreement: Agreement
    expected: Vector
    exported: Vector
    text_agreement: Agreement | None = None


def export_encoder(
    tower: nn.Module,
    folder: Path,
    describe: EncoderDescription,
    *,
    images: Sequence[Pixels],
    precision: Precision = "fp32",
    calibration: Sequence[Pixels] = (),
    text: TextSource | None = None,
) -> Card:
    """As `export_model`; gives the card alone."""
    return export_model(
        tower, folder, describe, images=images, precision=precision, calibration=calibration, text=text
    ).card


def export_model(
    tower: nn.Module,
    folder: Path,
    describe: EncoderDescription,
    *,
    images: Sequence[Pixels],
    precision: Precision = "fp32",
    calibration: Sequence[Pixels] = (),
    text: TextSource | None = None,
) -> Export:
    """Write encoder.onnx and card.json once the graph was held against the module.

    Args:
        tower: `feature_map(images)` gives (n, c, h, w), `forward(images)` (n, d), of (n, 3, h, w).
        folder: made where it is missing; a former encoder in it is replaced.
        describe: what the card says and cannot be computed.
        images: rendered frames, float32 in [0, 1], (rows, columns) or (rows, columns, 3), of the kind
            that will be embedded; parity is checked on them.
        precision: fp32; fp16, with inputs and outputs float32; or static int8 of as many layers as keep
            the vectors.
        calibration: frames to find the ranges of int8 with, others than `images`.
        text: the text side of an image-text model: text.onnx and tokenizer.json are written too, in
            float16 for fp16 and in float32 otherwise.

    Raises:
        EncoderError: the module cannot be written as ONNX, or ONNX Runtime answers otherwise than torch:
            by 1e-4 or more in fp32, with a cosine of 0.999 or less in fp16 and int8. The folder is as it
            was before.
    """
    inputs = inputs_of(images, describe.input.preprocessing)
    expected = _expected(tower, inputs)
    frame, notes = _frame_graph(tower, describe, precision, calibration)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as name:
        draft = Path(name)
        _write(frame, draft / ONNX_NAME)
        exported = onnx_embeddings(draft / ONNX_NAME, inputs, EMBEDDING)
        agreement = Agreement.of(expected, exported)
        agreement.require(precision)
        text_agreement = None if text is None else _write_text(text, draft, precision, expected.shape[1])
        said = describe.model_copy(update={"notes": " ".join(filter(None, (describe.notes, notes)))})
        card = _card(draft, said, expected.shape[1], precision, text)
        (draft / CARD_NAME).write_text(
            card.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
        )
        OnnxEncoder(draft, providers=_CPU, threads=1)
        if text is not None:
            TextEncoder(draft, providers=_CPU, threads=1).encode(SENTENCES)
        _replace(draft, folder)
    return Export(card, agreement, expected, exported, text_agreement)


def _expected(tower: nn.Module, inputs: Pixels) -> Vector:
    """Torch's answer, seen to be one vector an image."""
    if not callable(getattr(tower, "feature_map", None)):
        raise EncoderError(f"{type(tower).__name__} has no feature_map: it cannot be an image tower.")
    try:
        expected = torch_embeddings(tower, inputs)
    except (RuntimeError, TypeError, ValueError) as error:
        raise EncoderError(
            f"The tower does not take the input that its card describes, {list(inputs.shape[1:])}: {error}"
        ) from error
    if expected.ndim != 2 or len(expected) != len(inputs) or not np.isfinite(expected).all():
        raise EncoderError(
            f"The tower gives {list(expected.shape)} for {len(inputs)} images, or values that are not "
            "finite: a finite (n, d) is wanted."
        )
    return expected


def _frame_graph(
    tower: nn.Module, describe: EncoderDescription, precision: Precision, calibration: Sequence[Pixels]
) -> tuple[onnx.ModelProto, str]:
    """The graph in the precision that is wanted, and what the card's notes say of it."""
    graph = frame_graph(tower, describe.input)
    if precision == "fp32":
        return graph, ""
    if precision == "fp16":
        return half_graph(graph), "Weights are float16."
    if not calibration:
        raise EncoderError("int8 needs images to calibrate with: give some that parity is not checked on.")
    quantized = quantize_graph(graph, inputs_of(calibration, describe.input.preprocessing))
    return quantized.model, str(quantized)


def _write_text(text: TextSource, draft: Path, precision: Precision, dimension: int) -> Agreement:
    ids, mask = text.tokens(SENTENCES)
    feed = {"input_ids": ids, "attention_mask": mask}
    graph = text_graph(text)
    _write(half_graph(graph) if precision == "fp16" else graph, draft / TEXT_ONNX_NAME)
    (draft / TOKENIZER_NAME).write_text(text.tokenizer, encoding="utf-8")
    expected = torch_text_embeddings(text, feed)
    if expected.shape[1] != dimension:
        raise EncoderError(
            f"The text tower gives {expected.shape[1]} dimensions, the image tower {dimension}: they are not "
            "in one space. Export the projected towers."
        )
    agreement = Agreement.of(expected, cpu_session(draft / TEXT_ONNX_NAME).run([TEXT_EMBEDDING], feed)[0])
    agreement.require("fp16" if precision == "fp16" else "fp32")
    return agreement


def _write(model: onnx.ModelProto, path: Path) -> None:
    if model.ByteSize() > _LARGEST_BYTES:
        raise EncoderError(
            f"{path.name} would have {model.ByteSize()} bytes, more than one ONNX file holds: take a smaller "
            "model."
        )
    path.write_bytes(model.SerializeToString(deterministic=True))


def _replace(draft: Path, folder: Path) -> None:
    """The card last: until it is there, what lies beside it is refused by its hash."""
    for name in (ONNX_NAME, TEXT_ONNX_NAME, TOKENIZER_NAME, CARD_NAME):
        if (draft / name).exists():
            (draft / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _card(
    draft: Path, describe: EncoderDescription, dimension: int, precision: Precision, text: TextSource | None
) -> Card:
    card = Card(
        **dict(describe),
        outputs=Outputs(embedding=EMBEDDING, pooled=POOLED, feature_map=FEATURE_MAP),
        dimension=dimension,
        onnx_sha256=_sha256(draft / ONNX_NAME),
        parity=Parity(first_values=(0.0,), checksum=0.0, tolerance=_TOLERANCE[precision]),
        text=None if text is None else _text_tower(draft, text),
    )
    answer = onnx_embeddings(draft / ONNX_NAME, reference_input(card), EMBEDDING)
    first, checksum = fingerprint(unit_rows(answer)[0], min(_PARITY_VALUES, dimension))
    parity = Parity(first_values=first, checksum=checksum, tolerance=_TOLERANCE[precision])
    return card.model_copy(update={"parity": parity})


def _text_tower(draft: Path, text: TextSource) -> TextTower:
    return TextTower(
        onnx_sha256=_sha256(draft / TEXT_ONNX_NAME),
        tokenizer_sha256=_sha256(draft / TOKENIZER_NAME),
        output=TEXT_EMBEDDING,
        max_tokens=text.max_tokens,
        languages=text.languages,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
