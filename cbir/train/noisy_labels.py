"""`cbir train noisy-labels`: fine-tune an image tower on labels of which some are wrong."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from training.methods.noisy_label_folds import FoldFigures
    from training.methods.noisy_labels import NoisyLabelsConfiguration

SUMMARY_NAME = "summary.json"
_FIGURES = ("accuracy", "macro_f1", "precision_at_10", "precision_at_10_before", "chance")

Cells = list[tuple[str, float, "FoldFigures"]]


def noisy_labels(
    out: Annotated[
        Path, typer.Argument(help="Folder for the runs, one a loss, share of wrong labels, fold.")
    ],
    *,
    benchmark: Annotated[
        Path, typer.Option("--bench", exists=True, file_okay=False, help="Folder with labels.csv.")
    ],
    dataset: Annotated[str, typer.Option(help="Of the benchmark, such as busi_breast_us.")],
    label: Annotated[str, typer.Option(help="Column to learn, or several: modality+body_part.")] = "finding",
    start: Annotated[
        Path | None, typer.Option(exists=True, help="Weights (.safetensors), or a run's folder; else random.")
    ] = None,
    tuned: Annotated[str, typer.Option(help="tower, or head: the tower stays as it is.")] = "tower",
    frozen_blocks: Annotated[
        int | None,
        typer.Option(help="First blocks that do not learn, 0 to 17; default 7, and 0 without a start."),
    ] = None,
    projection: Annotated[int, typer.Option(help="Dimension of the embedding; 0: the tower's.")] = 0,
    side: Annotated[int, typer.Option(help="Pixels, a multiple of 32.")] = 160,
    loss: Annotated[
        list[str] | None, typer.Option(help="cross-entropy, generalized, truncated; several to compare.")
    ] = None,
    q: Annotated[float, typer.Option(help="Of generalized cross entropy, in (0, 1].")] = 0.7,
    noise: Annotated[
        list[float] | None, typer.Option(help="Share of labels made wrong for training; several to compare.")
    ] = None,
    noise_kind: Annotated[str, typer.Option(help="symmetric or asymmetric.")] = "symmetric",
    balanced: Annotated[bool, typer.Option(help="Draw every class equally often.")] = True,
    folds: Annotated[int, typer.Option(help="Grouped by subject; 0: learn from all, measure nothing.")] = 5,
    steps: int = 300,
    batch_size: int = 24,
    learning_rate: Annotated[float, typer.Option(help="Of the class head.")] = 1e-3,
    tower_rate: Annotated[float, typer.Option(help="The tower's rate over the head's, in (0, 1].")] = 0.1,
    seed: int = 0,
    bfloat16: Annotated[bool, typer.Option(help="Mixed precision; slower where only a head learns.")] = True,
    device: str = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="0 lets torch choose.")] = 0,
) -> None:
    """Fine-tune with generalized cross entropy, and compare it with cross entropy on held-out rows."""
    shared: dict[str, Any] = {
        "dataset": dataset,
        "label": label,
        "start": start,
        "tuned": tuned,
        "frozen_blocks": (7 if start else 0) if frozen_blocks is None else frozen_blocks,
        "projection": projection,
        "side": side,
        "q": q,
        "noise_kind": noise_kind,
        "balanced": balanced,
        "folds": folds,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "tower_rate": tower_rate,
        "fit": {"seed": seed, "bfloat16": bfloat16, "device": device, "threads": threads},
    }
    _train(out, benchmark, _configurations(shared, loss or ["generalized"], noise or [0.0]))


def _configurations(
    shared: dict[str, Any], losses: list[str], noises: list[float]
) -> list[NoisyLabelsConfiguration]:
    """One for each loss and share of wrong labels. Raises TrainingError where options do not fit."""
    from training.errors import TrainingError
    from training.methods.noisy_labels import NoisyLabelsConfiguration

    try:
        return [
            NoisyLabelsConfiguration.model_validate({**shared, "loss": loss, "noise": noise})
            for loss, noise in itertools.product(losses, noises)
        ]
    except ValidationError as error:
        raise TrainingError(f"These options do not go together: {error}") from error


def _train(out: Path, benchmark: Path, wanted: list[NoisyLabelsConfiguration]) -> None:
    from evaluation.benchmark import Benchmark
    from training.fit import seed_everything
    from training.methods.labelled_pictures import LabelledPictures

    first = wanted[0]
    seed_everything(first.fit)
    rows = Benchmark.open(benchmark).dataset(first.dataset)
    pictures = LabelledPictures.read(rows, first.label, first.side)
    if first.folds:
        _compare(out, wanted, pictures)
    else:
        _learn_from_all(out, wanted, pictures)


def _compare(out: Path, wanted: list[NoisyLabelsConfiguration], pictures: Any) -> None:  # noqa: ANN401 - torch
    from training.methods.noisy_label_folds import NoisyLabelFolds, mean_figures

    folds = NoisyLabelFolds(pictures, wanted[0])
    cells: Cells = []
    for row in wanted:
        figures = [
            folds.run(row.model_copy(update={"fold": fold}), out / _name(row) / f"fold-{fold}")
            for fold in range(len(folds))
        ]
        cells.append((row.loss, row.noise, mean_figures(figures)))
    (out / SUMMARY_NAME).write_text(
        json.dumps([{"loss": a, "noise": b, **asdict(c)} for a, b, c in cells], indent=2) + "\n",
        encoding="utf-8",
    )
    _print(wanted[0], cells)


def _learn_from_all(out: Path, wanted: list[NoisyLabelsConfiguration], pictures: Any) -> None:  # noqa: ANN401
    import numpy as np

    from training.fit import RunFolder
    from training.methods.noisy_label_folds import learn
    from training.methods.noisy_labels import frozen_features

    features = frozen_features(wanted[0], pictures.images)
    for row in wanted:
        learn(row, pictures, np.arange(len(pictures), dtype=np.intp), features, RunFolder(out / _name(row)))
        Console().print(f"Learned: {out / _name(row)}", highlight=False)


def _name(row: NoisyLabelsConfiguration) -> str:
    return f"{row.loss}-noise-{row.noise:g}"


def _print(row: NoisyLabelsConfiguration, cells: Cells) -> None:
    table = Table("loss", "wrong labels", *_FIGURES, title=f"{row.dataset} {row.label}, {row.folds} folds")
    for loss, noise, figures in cells:
        values = asdict(figures)
        table.add_row(loss, f"{noise:.0%}", *(f"{values[name]:.3f}" for name in _FIGURES))
    Console().print(table)
