"""The part of `cbir evaluate BENCH` that `--maps` asks for: match maps and regions of the encoder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console

from cbir.progress import progress_bar
from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError
from evaluation.map_pictures import curves_plot, maps_plot
from evaluation.match_maps import Curves, Pair, map_figures, nearest_pairs
from evaluation.measurement import Comparison
from evaluation.random_weights import randomise
from evaluation.regions import region_comparisons
from evaluation.report import Picture
from indexer.domain import Vector
from indexer.errors import Rejected
from inference.encoder import OnnxEncoder

SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class MapsPart:
    """What is added to a report."""

    comparisons: tuple[Comparison, ...]
    pictures: tuple[Picture, ...]


def measure_maps(
    folder: Path, benchmark: Benchmark, vector: Vector, count: int, seed: int, threads: int, console: Console
) -> MapsPart:
    """Match maps of `count` pairs, and as many lesions asked with by their rectangles.

    Args:
        folder: of the encoder.
        benchmark: whose images are compared.
        vector: float32 (n, d), unit rows, of them.
        count: of pairs, and of lesions.
        seed: of every choice.
        threads: of ONNX Runtime.
        console: for the progress.

    Raises:
        Rejected: the library that writes models is not installed.
    """
    if find_spec("onnx") is None:
        raise Rejected("--maps needs onnx to make weights random: pip install 'pacs-cbir[train]'.")
    encoder = OnnxEncoder(folder, threads=threads)
    pairs = nearest_pairs(benchmark, vector, count, seed)
    randomised = _randomised(folder, seed, threads, console)
    with progress_bar(console, "Match maps", len(pairs)) as progress:
        maps = map_figures(encoder, randomised, pairs, seed, progress)
    with progress_bar(console, "Regions", count) as progress:
        regions = region_comparisons(benchmark, vector, encoder, count, seed, progress)
    return MapsPart((*maps.comparisons, *regions), _pictures(encoder, maps.curves, pairs))


def _randomised(folder: Path, seed: int, threads: int, console: Console) -> OnnxEncoder | None:
    """The same model, its weights random; None for one that has none."""
    with tempfile.TemporaryDirectory(prefix="cbir-random-weights-") as name:
        try:
            return OnnxEncoder(randomise(folder, Path(name) / "random", seed), threads=threads)
        except BenchmarkError as error:
            console.print(f"Maps are not compared with those of random weights: {error}", highlight=False)
            return None


def _pictures(encoder: OnnxEncoder, curves: tuple[Curves, ...], pairs: list[Pair]) -> tuple[Picture, ...]:
    return (
        Picture(
            "map-curves",
            "Deletion and insertion",
            "A good map makes the left curve fall and the right one rise before the random order does.",
            curves_plot(curves),
        ),
        Picture(
            "map-pairs",
            "Frames and their nearest",
            "Each frame bare and with where it looks like the other: bright is most. It marks what the "
            "likeness rests on, which need not be the finding.",
            maps_plot(encoder, pairs[:SHOWN]),
        ),
    )
