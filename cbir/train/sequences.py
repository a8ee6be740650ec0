"""`cbir train sequences`: the sequences of one slice or one patient are embedded alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cbir.train.stored import stored_configuration
from indexer.errors import Rejected

SHOWN = ("same", "other")


def sequences(
    benchmark: Annotated[Path, typer.Argument(help="Folder with labels.csv.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the runs, the vectors and the figures.")],
    *,
    dataset: Annotated[
        str, typer.Option(help="Of several sequences, with lesion masks.")
    ] = "lgg_multiseq_mr",
    configuration: Annotated[
        Path | None,
        typer.Option("--configuration", exists=True, help="JSON of a run; the options below go before it."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(exists=True, help="Initial weights, .safetensors.")] = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of patients, one run each; 5 where nothing is said.")
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Only this one; the command without it compares them.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="NAME=vectors.npz to compare with, beside the pixels.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Learn multi-sequence slices by supervised contrast, reconstruction or lesion maps, fold by fold."""
    from pydantic import ValidationError

    from training.methods.sequence_runs import run_sequences
    from training.methods.sequences import SequencesConfiguration

    wanted = chosen(configuration, {"weights": weights, "steps": steps, "folds": folds}, device, threads)
    try:
        settings = SequencesConfiguration.model_validate(wanted)
    except ValidationError as error:
        raise Rejected(f"The configuration cannot be used: {error}") from error
    show(run_sequences(benchmark, dataset, out, settings, named(baseline or []), fold))


def chosen(
    configuration: Path | None, options: Mapping[str, object], device: str | None, threads: int | None
) -> dict[str, Any]:
    """A configuration file's values, with the options that were given laid over them."""
    wanted = stored_configuration(configuration, "fit")
    wanted |= {name: value for name, value in options.items() if value is not None}
    fit = {name: value for name, value in (("device", device), ("threads", threads)) if value is not None}
    return {**wanted, "fit": {**wanted.get("fit", {}), **fit}}


def named(baselines: list[str]) -> dict[str, Path]:
    """NAME=FILE options as a table. Raises Rejected for one that is not so."""
    table = {}
    for text in baselines:
        name, equals, path = text.partition("=")
        if not equals or not name or not Path(path).is_file():
            raise Rejected(f"--baseline {text}: write NAME=vectors.npz, of a file that exists.")
        table[name] = Path(path)
    return table


def show(tables: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the figures, a row an encoder; nothing where nothing was compared."""
    if not tables:
        return
    columns = [
        *(f"mask IoU, {where} sequence, nDCG@{n}" for where in SHOWN for n in (5, 10, 20)),
        "same patient, other sequence, P@1",
    ]
    table = Table("encoder", *columns)
    for name, figures in tables.items():
        cells = [figures.get(column) for column in columns]
        table.add_row(
            name, *(f"{c['mean']:.3f} [{c['low']:.3f} {c['high']:.3f}]" if c else "" for c in cells)
        )
    Console(width=200).print(table)
