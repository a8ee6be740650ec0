"""`cbir train image-text`: images and what was written about them, in one space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cbir.train.stored import stored_configuration
from indexer.errors import Rejected

if TYPE_CHECKING:
    from training.methods.image_text_configuration import ImageTextConfiguration


def image_text(
    benchmark: Annotated[Path, typer.Argument(help="Folder with labels.csv.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the run, or for the folds' runs and figures.")],
    *,
    configuration: Annotated[
        Path | None, typer.Option("--configuration", exists=True, help="JSON of a run; options go before.")
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Over cases, one run each, measured; 0: one run of all.")
    ] = 0,
    dataset: Annotated[list[str] | None, typer.Option(help="Of the benchmark; several.")] = None,
    loss: Annotated[str | None, typer.Option(help="convirt or clip.")] = None,
    start: Annotated[str | None, typer.Option(help="random, imagenet, clip, captions or clinical.")] = None,
    trunk: Annotated[
        list[str] | None,
        typer.Option(help="mobilenetv2, resnet18, resnet50, resnet50v2, vit, huggingface; several: joined."),
    ] = None,
    image_weights: Annotated[
        list[Path] | None, typer.Option(exists=True, help="A .safetensors file a trunk.")
    ] = None,
    image_folder: Annotated[
        Path | None, typer.Option(exists=True, help="Of a Hugging Face vision or CLIP model.")
    ] = None,
    start_run: Annotated[Path | None, typer.Option(exists=True, help="An earlier image-text run.")] = None,
    text_encoder: Annotated[
        str | None, typer.Option(help="A Hugging Face text model's folder, or minilm.")
    ] = None,
    tune_image: Annotated[str | None, typer.Option(help="none, last_blocks or all.")] = None,
    tune_text: Annotated[bool | None, typer.Option(help="Tune the text tower too.")] = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    threads: Annotated[int | None, typer.Option(min=0, help="0 lets torch choose.")] = None,
) -> None:
    """Learn a joint space of images and texts; with folds, measure it on other cases."""
    given = {
        "datasets": dataset,
        "loss": loss,
        "initialisation": start,
        "trunks": trunk,
        "image_weights": image_weights,
        "image_folder": image_folder,
        "start_run": start_run,
        "text_encoder": text_encoder,
        "tune_image_tower": tune_image,
        "tune_text_tower": tune_text,
        "steps": steps,
        "batch_size": batch_size,
    }
    wanted = _configuration(configuration, given, {"seed": seed, "device": device, "threads": threads})
    _run(wanted, benchmark, out, folds)


def _configuration(
    file: Path | None, given: dict[str, Any], settings: dict[str, Any]
) -> ImageTextConfiguration:
    from pydantic import ValidationError  # with torch, below

    from training.methods.image_text_configuration import ImageTextConfiguration  # torch

    stored = stored_configuration(file, "settings")
    try:
        of_fit = {"bfloat16": False, **stored.pop("settings", {}), **_set(settings)}
        return ImageTextConfiguration.model_validate({**stored, **_set(given), "settings": of_fit})
    except ValidationError as error:
        raise Rejected(f"The configuration cannot be used: {error}") from error


def _run(wanted: ImageTextConfiguration, folder: Path, out: Path, folds: int) -> None:
    from evaluation.benchmark import Benchmark  # beside torch
    from training.methods.image_text import train_image_text  # torch
    from training.methods.image_text_folds import measure, train_folds, write_figures

    benchmark = Benchmark.open(folder).dataset(*wanted.datasets)
    if folds == 0:
        train_image_text(wanted, benchmark, out)
        Console().print(f"The model is in {out}.")
        return
    figures = measure(train_folds(wanted, benchmark, out, folds))
    write_figures(figures, out)
    _show(figures)


def _set(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _show(figures: dict[str, Any]) -> None:
    console = Console()
    table = Table("", "mean over folds", "lowest", "highest", title="Images and texts")
    for name, value in figures["text"].items():
        table.add_row(name, *(f"{value[part]:.3f}" for part in ("mean", "lowest", "highest")))
    console.print(table)
    for relevance, found in figures["cases"].items():
        cases = Table("", "P@10", "95 %", "mAP@10", "95 %", title=f"Other cases of the same {relevance}")
        for kind, values in found.items():
            if isinstance(values, dict):
                cases.add_row(kind, *_cells(values["P@10"]), *_cells(values["mAP@10"]))
        cases.add_row("chance", f"{found['chance']:.3f}")
        console.print(cases)


def _cells(value: dict[str, float]) -> tuple[str, str]:
    return f"{value['mean']:.3f}", f"{value['low']:.3f} to {value['high']:.3f}"
