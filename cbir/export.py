"""`cbir export`: a trained or published model becomes an encoder's folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from indexer.errors import Rejected

if TYPE_CHECKING:
    from training.export.description import EncoderDescription
    from training.export.images import CheckImages
    from training.export.model import Export


class PrecisionName(StrEnum):
    """Of the weights; inputs and outputs are always float32."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def export_command(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a run of `cbir train`, ImageNet weights (.safetensors), folder or name of a "
            "Hugging Face model, or open_clip:NAME."
        ),
    ],
    out: Annotated[Path, typer.Argument(file_okay=False, help="Folder for the encoder.")],
    *,
    images: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Real images to check on, and to calibrate int8 with: a benchmark, or PNG and JPEG files.",
        ),
    ],
    weights_licence: Annotated[str, typer.Option(help="SPDX name, or as stated where they were published.")],
    commercial_use: Annotated[
        bool,
        typer.Option("--commercial-use/--no-commercial-use", help="Whether the licences allow it."),
    ] = False,
    name: Annotated[str, typer.Option(help="Of the encoder; default: the folder's.")] = "",
    version: str = "1",
    modality: Annotated[
        list[str] | None, typer.Option(help="DICOM modality it is meant for; repeat. Default: any.")
    ] = None,
    precision: Annotated[
        PrecisionName, typer.Option(help="int8 is refused where the vectors would change.")
    ] = PrecisionName.fp32,
    code_licence: Annotated[str, typer.Option(help="Of the model's code.")] = "Apache-2.0",
    initial_weights_licence: Annotated[
        str, typer.Option(help="Of the weights that training began with.")
    ] = "",
    labels_licence: Annotated[str, typer.Option(help="Of the images and labels it learned from.")] = "",
    training_data: Annotated[
        str, typer.Option(help="What it learned from.")
    ] = "As published with the model.",
    intended_use: Annotated[
        str, typer.Option(help="In words.")
    ] = "Finding similar images; not for diagnosis.",
    language: Annotated[
        list[str] | None, typer.Option(help="Of a text tower, ISO 639-1; repeat. Default: en.")
    ] = None,
    sequence: Annotated[str, typer.Option(help="Of a run of joint-sequences: which encoder.")] = "",
    image_count: Annotated[int, typer.Option(min=1, help="Images to check on.")] = 64,
    calibration_count: Annotated[int, typer.Option(min=8, help="Other images, to calibrate int8.")] = 96,
) -> None:
    """Write encoder.onnx and card.json, held against torch on real images; text.onnx of image-text models."""
    from training.export.images import CheckImages  # noqa: PLC0415 - torch and onnx take seconds
    from training.export.model import export_model  # noqa: PLC0415
    from training.export.sources import open_source  # noqa: PLC0415

    wanted = open_source(source, sequence=sequence, languages=tuple(language or ("en",)))
    shown = CheckImages.read(images, image_count, calibration_count if precision.value == "int8" else 0)
    description = _described(
        name=name or out.resolve().name,
        version=version,
        modalities=tuple(modality or ("*",)),
        input=wanted.input,
        licence={
            "code": code_licence,
            "weights": weights_licence,
            "initial_weights": initial_weights_licence,
            "training_labels": labels_licence,
            "commercial_use": commercial_use,
        },
        training_data=training_data,
        intended_use=intended_use,
    )
    made = export_model(
        wanted.tower,
        out,
        description,
        images=shown.checked,
        precision=precision.value,
        calibration=shown.calibration,
        text=wanted.text,
    )
    _print(made, shown, out)


def _described(**told: object) -> EncoderDescription:
    """What the caller says of the encoder. Raises Rejected where a card would not take it."""
    from training.export.description import EncoderDescription  # noqa: PLC0415

    try:
        return EncoderDescription.model_validate(told)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Rejected(f"The encoder cannot be called that: {faults}") from None


def _print(made: Export, shown: CheckImages, out: Path) -> None:
    from training.export.retrieval import NEAREST, retrieval_effect  # noqa: PLC0415 - torch

    console = Console()
    console.print(f"{out}: {made.card.name} {made.card.version}, {made.card.dimension} dimensions.")
    console.print(f"Images: {made.agreement}.", highlight=False)
    if made.text_agreement is not None:
        console.print(f"Texts: {made.text_agreement}.", highlight=False)
    if len(shown.rows) > NEAREST:
        effect = retrieval_effect(shown.rows, made.expected, made.exported)
        console.print(
            f"Retrieval among those images: {effect.kept:.1%} of the {NEAREST} nearest stay, P@{NEAREST} by "
            f"modality and body part {effect.before:.3f} before, {effect.after:.3f} after.",
            highlight=False,
        )
    if made.card.notes:
        console.print(made.card.notes, highlight=False)
