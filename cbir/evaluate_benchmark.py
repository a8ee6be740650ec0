"""The run of `cbir evaluate BENCH`: embed, score, compare, print and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from cbir.evaluate_maps import MapsPart, measure_maps
from cbir.evaluate_table import print_comparisons
from cbir.progress import progress_bar
from evaluation.benchmark import Benchmark
from evaluation.benchmark_report import Contestant, Wanted, benchmark_comparisons, benchmark_report
from evaluation.concepts import Concepts, concepts_in_texts, given_concepts
from evaluation.consistency import benchmark_samples
from evaluation.embedding import Embed, FrameEmbedding, embed_images, pixel_embedding, with_captions
from evaluation.lexicon import concepts_of
from evaluation.measurement import MAPS, REGIONS
from evaluation.perturbation import PERTURBATIONS
from evaluation.scoring import Scorer, aligned
from evaluation.vectors import ImageVectors
from indexer.errors import Rejected
from inference.encoder import OnnxEncoder
from inference.known import load_known
from inference.text import TextEncoder

PIXEL: Final = "pixel"


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """What the command was asked."""

    benchmark: Path
    encoder: Path
    baselines: tuple[Path, ...] = ()
    vectors: Path | None = None
    out: Path | None = None
    datasets: tuple[str, ...] = ()
    sampled: int = 50
    maps: int = 0
    seed: int = 0
    threads: int = 0


def evaluate_benchmark(run: BenchmarkRun) -> None:
    """Measure, print the first figures, write vectors and report where they are asked for.

    Raises:
        BenchmarkError: the benchmark, or vectors given for it, cannot be used.
        EncoderError: an encoder's folder cannot be used.
        Rejected: two contestants have one name.
    """
    console = Console()
    benchmark = Benchmark.open(run.benchmark)
    if run.datasets:
        benchmark = benchmark.dataset(*run.datasets)
    concepts, source = _concepts(benchmark)
    scorer = Scorer(benchmark, concepts)
    encoder = _contestant(run.encoder, benchmark, run.threads, console)
    if run.vectors is not None:
        encoder.vectors.write(run.vectors)
    baselines = _baselines(run, benchmark, encoder, console)
    wanted = Wanted(run.sampled, run.out is not None, run.seed)
    with progress_bar(console, "Consistency", _changes(scorer, [encoder, *baselines], wanted)) as progress:
        comparisons = benchmark_comparisons(scorer, encoder, baselines, wanted, progress)
    print_comparisons(console, encoder.name, comparisons)
    maps = _maps(run, benchmark, encoder, console)
    if run.out is not None:
        about = {
            "Benchmark": f"{benchmark.folder.resolve().name}, {len(benchmark)} images",
            "Concepts": source,
        }
        report = benchmark_report(scorer, encoder, baselines, comparisons, wanted, about)
        if maps is not None:
            compared, pictures = (*comparisons, *maps.comparisons), (*report.pictures, *maps.pictures)
            report = replace(report, comparisons=compared, pictures=pictures)
        console.print(f"Report: {report.write(run.out)}", highlight=False, soft_wrap=True)


def _maps(run: BenchmarkRun, benchmark: Benchmark, encoder: Contestant, console: Console) -> MapsPart | None:
    if run.maps == 0:
        return None
    vector = aligned(benchmark, encoder.vectors)
    found = measure_maps(run.encoder, benchmark, vector, run.maps, run.seed, run.threads, console)
    for family in (MAPS, REGIONS):
        own = [one for one in found.comparisons if one.family == family]
        if own:
            print_comparisons(console, encoder.name, own)
    return found


def _concepts(benchmark: Benchmark) -> tuple[Mapping[str, Concepts], str]:
    """UMLS identifiers where the table has them, the lexicon's concepts of its texts otherwise."""
    given = given_concepts(benchmark)
    if given:
        return given, f"UMLS identifiers of the table, of {len(given)} images"
    found = concepts_in_texts(benchmark, concepts_of)
    return found, f"found by lexicon in captions, or reports, of {len(found)} images; what is denied left out"


def _baselines(
    run: BenchmarkRun, benchmark: Benchmark, encoder: Contestant, console: Console
) -> list[Contestant]:
    pixel = _embedded(PIXEL, benchmark, pixel_embedding, console, "32 x 32 grey values, mean removed")
    found = [pixel, *(_contestant(path, benchmark, run.threads, console) for path in run.baselines)]
    names = [one.name for one in (encoder, *found)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Rejected(f"Two encoders are called {', '.join(twice)}: give one card another name.")
    return found


def _contestant(path: Path, benchmark: Benchmark, threads: int, console: Console) -> Contestant:
    """An encoder's folder, or a file of vectors."""
    if path.is_file():
        given = ImageVectors.read(path)
        aligned(benchmark, given)
        return Contestant(path.stem, given, None, f"vectors of {path.name}")
    encoder = OnnxEncoder(path, threads=threads)
    about = f"{encoder.version.name} {encoder.card.version}, SHA-256 {encoder.version.sha256[:12]}"
    about = f"{about}, weights: {encoder.card.licence.weights}"
    one = _embedded(encoder.version.name, benchmark, FrameEmbedding(encoder), console, about)
    one = replace(one, known=load_known(path, encoder.card))
    if encoder.card.text is None:
        return one
    with_text = with_captions(one.vectors, benchmark, TextEncoder(path, threads=threads))
    return replace(one, vectors=with_text)


def _embedded(name: str, benchmark: Benchmark, embed: Embed, console: Console, about: str) -> Contestant:
    with progress_bar(console, f"Embedding with {name}", len(benchmark)) as progress:
        return Contestant(name, embed_images(benchmark, embed, progress), embed, about)


def _changes(scorer: Scorer, contestants: list[Contestant], wanted: Wanted) -> int:
    """How many frames will be embedded for consistency."""
    if wanted.sampled == 0:
        return 0
    vector = aligned(scorer.benchmark, contestants[0].vectors)
    frames = sum(len(s.frames) for s in benchmark_samples(scorer, vector, wanted.sampled, wanted.seed))
    return frames * len(PERTURBATIONS) * sum(one.embed is not None for one in contestants)
