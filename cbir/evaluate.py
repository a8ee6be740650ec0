"""`cbir evaluate`: an encoder's figures on a benchmark, or on the archive; libraries come with the run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from indexer.errors import Rejected

NEEDED: Final = ("evaluation", "jinja2", "matplotlib", "sklearn")


def evaluate_command(
    benchmark: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, metavar="[BENCH]", help="Folder with labels.csv."),
    ] = None,
    *,
    encoder: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the encoder to measure.")
    ] = None,
    baseline: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Encoder folder, or vectors (.npz), to compare with; repeatable."),
    ] = None,
    vectors: Annotated[Path | None, typer.Option(help="Write the encoder's vectors here, .npz.")] = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Write the report into this folder.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only these data sets; repeatable.")] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Measure the installed encoders on the indexed archive.")
    ] = False,
    series: Annotated[int, typer.Option(min=10, help="At most so many series of the archive.")] = 5000,
    sampled: Annotated[
        int, typer.Option(min=0, help="Frames changed for consistency, a data set; 0 leaves it out.")
    ] = 50,
    maps: Annotated[
        int, typer.Option(min=0, help="Pairs, and lesions, for match maps and regions; 0 leaves them out.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Of ONNX Runtime; 0 lets it choose.")] = 0,
) -> None:
    """Measure an encoder: figures beside chance, pixels and other encoders, with intervals."""
    _refuse_without_libraries()
    if archive == (benchmark is not None):
        raise Rejected("Name a benchmark's folder, or give --archive.")
    if archive:
        if encoder or baseline or vectors or dataset or maps:
            raise Rejected("--archive measures the encoders that are in use: it takes --out and --series.")
        _measure_archive(out, series, sampled, seed, threads)
        return
    if benchmark is None or encoder is None:
        raise Rejected("Name the encoder's folder: cbir evaluate BENCH --encoder DIR.")
    from cbir.evaluate_benchmark import BenchmarkRun, evaluate_benchmark  # noqa: PLC0415 - takes seconds

    run = BenchmarkRun(
        benchmark=benchmark,
        encoder=encoder,
        baselines=tuple(baseline or ()),
        vectors=vectors,
        out=out,
        datasets=tuple(dataset or ()),
        sampled=sampled,
        maps=maps,
        seed=seed,
        threads=threads,
    )
    evaluate_benchmark(run)


def _refuse_without_libraries() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise Rejected(f"{', '.join(missing)} is not installed: pip install 'pacs-cbir[evaluate]'.")


def _measure_archive(out: Path | None, series: int, sampled: int, seed: int, threads: int) -> None:
    from cbir.evaluate_archive import ArchiveRun, evaluate_archive  # noqa: PLC0415 - takes seconds

    evaluate_archive(ArchiveRun(out, series, sampled, seed, threads))
