"""`cbir train known`: what an encoder knows, from a benchmark's images that may be shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def known(
    benchmark: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with labels.csv.")],
    encoder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the encoder.")],
    *,
    directions: Annotated[int, typer.Option(min=1, help="That stand for known images.")] = 128,
    false_refusals: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of held-out images below the limit.")
    ] = 0.01,
    seed: int = 0,
    threads: Annotated[int, typer.Option(min=0, help="Of ONNX Runtime; 0 lets it choose.")] = 0,
) -> None:
    """Write known.npy beside an encoder and name it in its card: outsiders are then told by it."""
    from evaluation.benchmark import Benchmark
    from evaluation.embedding import FrameEmbedding
    from inference.encoder import OnnxEncoder
    from training.known import KnownSettings, described, make_known, write_known

    settings = KnownSettings(directions=directions, false_refusals=false_refusals, seed=seed)
    images = Benchmark.open(benchmark)
    made = make_known(images, FrameEmbedding(OnnxEncoder(encoder, threads=threads)), settings)
    part = write_known(encoder, made, described(images, settings))
    typer.echo(
        f"{encoder}: {len(made.prototypes)} directions and {part.outside} of noise; least {part.least}, "
        f"close {part.close}."
    )
