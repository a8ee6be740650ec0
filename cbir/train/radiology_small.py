"""`cbir train radiology-small`: the recipe of the encoder that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress


def radiology_small(
    benchmark: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with labels.csv.")],
    out: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    weights: Annotated[Path, typer.Option(exists=True, help="MobileNetV2's ImageNet weights.")],
    teacher_weights: Annotated[Path, typer.Option(exists=True, help="ResNet-50 v2's, stages 1 to 3.")],
    fold: Annotated[int | None, typer.Option(help="Hold this fold of five out, from 0; none: all.")] = None,
    findings_steps: Annotated[int, typer.Option(min=1, help="Of the findings branch.")] = 1500,
    general_steps: Annotated[int, typer.Option(min=0, help="Of the general branch.")] = 600,
    views: Annotated[int, typer.Option(min=0, help="Augmented views of each image.")] = 10,
    seed: int = 0,
    device: Annotated[str, typer.Option(help="Where the branches learn: cpu, cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="0 lets torch choose.")] = 0,
) -> None:
    """Train the default encoder on the images that may be shipped with, those of a permissive licence."""
    from training.fit import FitSettings, RunFolder
    from training.radiology.findings import FindingsSettings
    from training.radiology.general import GeneralSettings
    from training.radiology.recipe import RadiologyConfiguration, train_radiology

    configuration = RadiologyConfiguration(
        benchmark=benchmark.resolve(),
        weights=weights.resolve(),
        teacher_weights=teacher_weights.resolve(),
        fold=fold,
        views=views,
        findings=FindingsSettings(steps=findings_steps),
        general=GeneralSettings(steps=general_steps),
        fit=FitSettings(seed=seed, device=device, threads=threads),
    )
    with Progress(transient=True) as bar:
        task = bar.add_task("views")
        model = train_radiology(
            configuration,
            RunFolder(out),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(f"{model}: `cbir export {out} FOLDER` makes an encoder of it.")
