"""A benchmark's report: an encoder beside the pixels and other encoders, in figures and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.benchmark import Benchmark
from evaluation.collapse import Spread, spread_of
from evaluation.consistency import benchmark_samples, consistency
from evaluation.embedding import Embed, Progress
from evaluation.grids import Tile, retrieval_grid, typical_queries
from evaluation.measurement import (
    CALIBRATION,
    CONSISTENCY,
    REFUSAL,
    Comparison,
    Measurement,
    compare,
)
from evaluation.plots import confusion_plot, dot_plot, tsne_map
from evaluation.ranking import Labelled, rankings
from evaluation.refusal import refusal_comparisons
from evaluation.reliability import reliability_comparisons
from evaluation.report import DatasetRow, Picture, Report
from evaluation.scoring import Scorer, aligned
from evaluation.tasks import EVERYWHERE, LabelTask, datasets, of_dataset
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from indexer.search.knowing import Known

PLOTTED: Final = 1000
NEIGHBOURS: Final = 10
SHOWN: Final = 6
OF_THEIR_OWN: Final = (CONSISTENCY, REFUSAL, CALIBRATION)


@dataclass(frozen=True, slots=True)
class Contestant:
    """An encoder that is measured.

    Attributes:
        name: as the report calls it.
        vectors: of the benchmark's images.
        embed: None where there are only vectors: then it has no row in the table of consistency.
        about: its version and hash.
        known: what it says that it knows; None where it does not.
    """

    name: str
    vectors: ImageVectors
    embed: Embed | None = None
    about: str = ""
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much to do: frames a data set for consistency (0: none), pictures or not, the seed of choices."""

    sampled: int = 50
    pictures: bool = True
    seed: int = 0


def benchmark_comparisons(
    scorer: Scorer,
    encoder: Contestant,
    baselines: Sequence[Contestant],
    wanted: Wanted,
    progress: Progress | None = None,
) -> tuple[Comparison, ...]:
    """Every figure of the encoder beside those of the baselines.

    Raises:
        BenchmarkError: vectors are of other images.
    """

    def measured(one: Contestant) -> tuple[Measurement, ...]:
        figures = scorer.score(one.vectors)
        if one.embed is None or wanted.sampled == 0:
            return figures
        vector = aligned(scorer.benchmark, one.vectors)
        samples = tuple(benchmark_samples(scorer, vector, wanted.sampled, wanted.seed))
        return (*figures, *consistency(samples, one.embed, wanted.seed, progress))

    compared = compare(measured(encoder), {one.name: measured(one) for one in baselines})
    vector = aligned(scorer.benchmark, encoder.vectors)
    refusal = refusal_comparisons(scorer.benchmark, vector, encoder.embed, encoder.known, wanted.seed)
    reliability = reliability_comparisons(scorer.benchmark, vector, wanted.seed)
    return (*compared, *refusal, *reliability)


def benchmark_report(
    scorer: Scorer,
    encoder: Contestant,
    baselines: Sequence[Contestant],
    comparisons: tuple[Comparison, ...],
    wanted: Wanted,
    about: Mapping[str, str],
) -> Report:
    """The report of `benchmark_comparisons`, with its pictures."""
    benchmark = scorer.benchmark
    spread = {one.name: _spread(aligned(benchmark, one.vectors)) for one in (encoder, *baselines)}
    unanswered = int((~aligned(benchmark, encoder.vectors).any(axis=1)).sum())
    notes = ["Cosine similarity; queries are also the gallery; a query's own subject is never a neighbour."]
    if unanswered:
        notes.append(
            f"{unanswered} images have no vector (flat, or no finite answer) and stay in the figures."
        )
    return Report(
        title=f"Retrieval on {benchmark.folder.resolve().name}",
        encoder=encoder.name,
        about={
            **about,
            "Encoder": encoder.about,
            "Baselines": ", ".join(f"{one.name} ({one.about})" for one in baselines),
            "Intervals": "95 % percentile bootstrap over subjects, 500 draws, seed 0; differences are paired",
        },
        comparisons=comparisons,
        spread=spread,
        pictures=tuple(_pictures(scorer, encoder, comparisons, wanted.seed)) if wanted.pictures else (),
        datasets=tuple(_dataset_rows(benchmark)),
        notes=notes,
    )


def _spread(vector: Vector) -> Spread:
    return spread_of(vector[vector.any(axis=1)])


def _dataset_rows(benchmark: Benchmark) -> Iterator[DatasetRow]:
    for dataset in datasets(benchmark):
        images = [benchmark.images[i] for i in of_dataset(benchmark, dataset)]
        yield DatasetRow(
            name=dataset,
            images=len(images),
            subjects=len({image.subject for image in images}),
            subject_kind=_listed(image.subject_kind for image in images),
            licences=_listed(image.licence_class for image in images),
        )


def _listed(words: Iterator[str]) -> str:
    return ", ".join(sorted({word or "not stated" for word in words}))


def _pictures(
    scorer: Scorer, encoder: Contestant, comparisons: Sequence[Comparison], seed: int
) -> Iterator[Picture]:
    vector = aligned(scorer.benchmark, encoder.vectors)
    first = [c for c in comparisons if c.is_headline and c.family not in OF_THEIR_OWN]
    yield Picture(
        "figures",
        "Figures with intervals",
        "A bar is the 95 % interval over subjects, a stroke is chance.",
        dot_plot(first, encoder.name),
    )
    reliability = [c for c in comparisons if c.family == CALIBRATION]
    if reliability:
        yield Picture(
            "reliability",
            "Pairs that bear the same finding, by percentage",
            "A line a band of percentages: the share of its pairs with the same finding; a stroke is chance.",
            dot_plot(reliability, encoder.name),
        )
    if len(datasets(scorer.benchmark)) > 1:
        of = np.array([image.dataset for image in scorer.benchmark.images])
        some = _some(len(of), seed)
        yield _map("map-all", "all data sets", tsne_map(vector[some], of[some], seed))
    seen = {EVERYWHERE}
    for task in scorer.tasks:
        if task.dataset not in seen:
            seen.add(task.dataset)
            yield from _pictures_of_task(scorer, task, vector, seed)


def _pictures_of_task(scorer: Scorer, task: LabelTask, vector: Vector, seed: int) -> Iterator[Picture]:
    labelled = scorer.labelled(task, vector)
    name, place = task.dataset.replace("_", "-"), f"{task.dataset} by {task.label}".replace("_", " ")
    nearest = [
        ranking.nearest
        for ranking in rankings(
            labelled.vector, labelled.vector, labelled.subject, labelled.subject, NEIGHBOURS
        )
    ]
    some = _some(len(task.index), seed)
    yield _map(f"map-{name}", place, tsne_map(labelled.vector[some], labelled.label[some], seed))
    yield Picture(
        f"confusion-{name}",
        f"Neighbours' labels, {place}",
        f"Of the {NEIGHBOURS} nearest of other subjects, in percent of each row.",
        confusion_plot(labelled.label, [labelled.label[indices] for indices in nearest]),
    )
    good = np.array(
        [(labelled.label[n] == own).mean() for n, own in zip(nearest, labelled.label, strict=True)]
    )
    chosen = typical_queries(labelled.label, good, SHOWN)
    tile = _tiles(scorer, task, labelled)
    rows = [[tile(query, None), *(tile(n, query) for n in nearest[query][:SHOWN])] for query in chosen]
    yield Picture(
        f"grid-{name}",
        f"Queries and what they find, {place}",
        "Each label's query of median precision, so neither the best nor the worst; green is right.",
        retrieval_grid(rows),
    )


def _tiles(scorer: Scorer, task: LabelTask, labelled: Labelled) -> Callable[[int, int | None], Tile]:
    def tile(index: int, query: int | None) -> Tile:
        label = str(labelled.label[index])
        right = None if query is None else bool(label == str(labelled.label[query]))
        return Tile(scorer.benchmark.pixels(int(task.index[index])), label, right)

    return tile


def _map(name: str, place: str, png: bytes) -> Picture:
    text = "t-SNE: near is alike; the sizes of groups and the gaps between them mean nothing."
    return Picture(name, f"Map of {place}", text, png)


def _some(count: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).permutation(count)[:PLOTTED].tolist())
