"""Refusal: are photographs of the eye, other photographs and noise told from what an encoder was made for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.archive_judging import Found, JudgedArchive
from evaluation.benchmark import Benchmark
from evaluation.bootstrap import DRAWS, SEED, Interval, interval_over_subjects
from evaluation.embedding import Embed
from evaluation.known_split import is_held_out, is_radiology
from evaluation.measurement import REFUSAL, Comparison
from evaluation.outsiders import NOISES, noise, photograph_crops
from indexer.domain import SeriesAttributes, Vector
from indexer.search.knowing import Known

EYE: Final = "light photographs of the eye"
PHOTOGRAPHS: Final = "photographs"
NOISE: Final = "noise"
CROPS: Final = 40
NOISE_A_KIND: Final = 12
SEED_OF_OUTSIDERS: Final = 5
KNOWN_BY: Final = "AUROC"
WITH_ARCHIVE: Final = "AUROC with an archive"
NEAREST: Final = "AUROC of the nearest alone"
REFUSED: Final = "refused"
REFUSED_EMPTY: Final = "refused by an empty archive"
ONE_MODALITY: Final = ", one modality"
_TAIL: Final = 0.025


@dataclass(frozen=True, slots=True)
class Questions:
    """Examples that are asked with: unit rows, whose they are and what their headers say."""

    vector: Vector
    subject: tuple[str, ...]
    attributes: tuple[SeriesAttributes, ...]


def refusal_comparisons(
    benchmark: Benchmark, vector: Vector, embed: Embed | None, known: Known | None, seed: int
) -> Iterator[Comparison]:
    """How outsiders are told, and what is refused, by kind of outsider and by modality.

    AUROC is that of what the encoder knows alone, as if nothing were indexed; with an archive, an example
    also counts as inside by its nearest neighbour there.

    The archive is all of the benchmark's radiology, without the example's own subject. Insiders are the
    images that no direction of the encoder was made from. Noise and other photographs bear the modality and
    body part of insiders, one after the other, as if they had been sent under a wrong name.

    Args:
        benchmark: of radiology; photographs of the eye in it are outsiders.
        vector: (n, d) of its images.
        embed: the encoder; None leaves noise and photographs out.
        known: what the encoder knows; None leaves only the nearest neighbour to judge by.
        seed: of what the archive's background is drawn from.
    """
    archive, insiders = _archive(benchmark, vector, known, seed), _insiders(benchmark, vector)
    if archive is None or insiders is None:
        return
    found = archive.answers(insiders.vector, insiders.subject, insiders.attributes)
    modalities = np.array([attributes.modality for attributes in insiders.attributes])
    for kind, outsiders in _outsiders(benchmark, vector, embed, insiders).items():
        theirs = archive.answers(outsiders.vector, outsiders.subject, outsiders.attributes)
        for modality in ("", *sorted(set(modalities))):
            own = modalities == modality if modality else np.ones(len(modalities), bool)
            task = f"{modality or 'radiology'} against {kind}"
            for figure in _told_apart(task, found, theirs, insiders, outsiders, own):
                yield _detailed(figure) if modality else figure
        yield from _refused(kind, theirs, outsiders.subject, np.ones(len(outsiders.subject), bool))
    for modality in ("", *sorted(set(modalities))):
        own = modalities == modality if modality else np.ones(len(modalities), bool)
        for figure in _refused(modality or "radiology", found, insiders.subject, own):
            yield _detailed(figure) if modality else figure


def auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of each inside value, the share of outside values below it; half of equal ones. Its mean is AUROC.

    Source:
        Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
        curve", Radiology 1982.
    """
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, side="left") + np.searchsorted(ordered, inside, side="right")
    return np.asarray(below / (2 * len(ordered)), dtype=np.float64)


def auroc_interval(
    inside: NDArray[np.float64],
    inside_subjects: Sequence[str],
    outside: NDArray[np.float64],
    outside_subjects: Sequence[str],
    draws: int = DRAWS,
    seed: int = SEED,
) -> Interval:
    """AUROC and how it would vary with other subjects, on both sides.

    Whole subjects are drawn with replacement, those inside and those outside by themselves.
    """
    rows, row = np.unique(np.array(inside_subjects), return_inverse=True)
    columns, column = np.unique(np.array(outside_subjects), return_inverse=True)
    wins = np.zeros((len(rows), len(columns)))
    for number in range(len(columns)):
        own = outside[column == number]
        np.add.at(wins[:, number], row, auroc(inside, own) * len(own))
    sizes = np.outer(np.bincount(row), np.bincount(column))
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for draw in range(draws):
        some = rng.integers(0, len(rows), len(rows))
        others = rng.integers(0, len(columns), len(columns))
        places = np.ix_(some, others)
        means[draw] = wins[places].sum() / sizes[places].sum()
    low, high = np.quantile(means, [_TAIL, 1 - _TAIL])
    return Interval(float(auroc(inside, outside).mean()), float(low), float(high))


def _archive(benchmark: Benchmark, vector: Vector, known: Known | None, seed: int) -> JudgedArchive | None:
    own = [n for n, image in enumerate(benchmark.images) if is_radiology(image) and vector[n].any()]
    if not own:
        return None
    return JudgedArchive.of(
        vector[own],
        tuple(_subject(benchmark, n) for n in own),
        tuple(_attributes(benchmark, n) for n in own),
        known,
        seed,
    )


def _insiders(benchmark: Benchmark, vector: Vector) -> Questions | None:
    own = [
        n
        for n, image in enumerate(benchmark.images)
        if is_radiology(image) and is_held_out(image) and vector[n].any()
    ]
    return _questions(benchmark, vector, own) if own else None


def _questions(benchmark: Benchmark, vector: Vector, places: Sequence[int]) -> Questions:
    return Questions(
        vector=vector[list(places)],
        subject=tuple(_subject(benchmark, n) for n in places),
        attributes=tuple(_attributes(benchmark, n) for n in places),
    )


def _outsiders(
    benchmark: Benchmark, vector: Vector, embed: Embed | None, insiders: Questions
) -> Mapping[str, Questions]:
    kinds: dict[str, Questions] = {}
    eye = [n for n, image in enumerate(benchmark.images) if not is_radiology(image) and vector[n].any()]
    if eye:
        kinds[EYE] = _questions(benchmark, vector, eye)
    if embed is not None:
        made = {
            PHOTOGRAPHS: list(photograph_crops(CROPS, SEED_OF_OUTSIDERS)),
            NOISE: list(noise(tuple(NOISES), NOISE_A_KIND, SEED_OF_OUTSIDERS)),
        }
        for kind, named in made.items():
            names = cycle(sorted(set(insiders.attributes), key=lambda a: (a.modality, a.body_part_examined)))
            rows = embed([frame for _, frame in named])
            seen = [n for n in range(len(rows)) if rows[n].any()]
            kinds[kind] = Questions(
                vector=rows[seen],
                subject=tuple(named[n][0] for n in seen),
                attributes=tuple(next(names) for _ in seen),
            )
    return kinds


def _told_apart(
    task: str,
    inside: Found,
    outside: Found,
    insiders: Questions,
    outsiders: Questions,
    own: NDArray[np.bool_],
) -> Iterator[Comparison]:
    subjects = tuple(subject for subject, is_own in zip(insiders.subject, own, strict=True) if is_own)
    for measure, left, right in (
        (KNOWN_BY, inside.known_by, outside.known_by),
        (WITH_ARCHIVE, inside.margin, outside.margin),
        (NEAREST, inside.nearest, outside.nearest),
    ):
        if left is not None and right is not None:
            interval = auroc_interval(left[own], subjects, right, outsiders.subject)
            yield _figure(task, measure, int(own.sum()), subjects, interval, 0.5)


def _refused(
    task: str, found: Found, subjects: Sequence[str], own: NDArray[np.bool_]
) -> Iterator[Comparison]:
    named = tuple(subject for subject, is_own in zip(subjects, own, strict=True) if is_own)
    for measure, refused in ((REFUSED, found.refused), (REFUSED_EMPTY, found.refused_empty)):
        values = refused[own].astype(np.float64)
        yield _figure(task, measure, len(values), named, interval_over_subjects(values, named), None)


def _figure(
    task: str, measure: str, queries: int, subjects: Sequence[str], interval: Interval, chance: float | None
) -> Comparison:
    return Comparison(
        family=REFUSAL,
        task=task,
        measure=measure,
        queries=queries,
        subjects=len(set(subjects)),
        chance=chance,
        encoder=interval,
        baselines={},
        gains={},
    )


def _detailed(figure: Comparison) -> Comparison:
    """A figure of one modality, which is not among those that are quoted first."""
    return replace(figure, measure=f"{figure.measure}{ONE_MODALITY}")


def _subject(benchmark: Benchmark, number: int) -> str:
    image = benchmark.images[number]
    return f"{image.dataset}/{image.subject}"


def _attributes(benchmark: Benchmark, number: int) -> SeriesAttributes:
    image = benchmark.images[number]
    return SeriesAttributes(image.modality, image.body_part.upper())
