"""`cbir train joint-sequences`: one latent space for all sequences, drawn from whichever are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cbir.train.sequences import chosen, named, show
from indexer.errors import Rejected


def joint_sequences(
    benchmark: Annotated[Path, typer.Argument(help="Folder with labels.csv.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the runs, the vectors and the figures.")],
    *,
    dataset: Annotated[
        str, typer.Option(help="Of several sequences, with lesion masks.")
    ] = "lgg_multiseq_mr",
    configuration: Annotated[
        Path | None, typer.Option("--configuration", exists=True, help="JSON of a run, without sequences.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of patients, one run each; 5 where nothing is said.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="NAME=vectors.npz to compare with, beside the pixels.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Learn a multimodal variational autoencoder (product of experts), fold by fold."""
    from pydantic import ValidationError

    from training.methods.joint_runs import run_joint_sequences

    wanted = chosen(configuration, {"steps": steps, "folds": folds}, device, threads)
    wanted["fit"] = {"bfloat16": False, **wanted["fit"]}
    try:
        show(run_joint_sequences(benchmark, dataset, out, wanted, named(baseline or [])))
    except ValidationError as error:
        raise Rejected(f"The configuration cannot be used: {error}") from error
