"""Asking with a lesion's rectangle: is the lesion found in other patients, and is it marked where it is?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark, LabelledImage
from evaluation.embedding import Progress
from evaluation.measurement import REGIONS, Comparison, Measurement, compare
from indexer.domain import FeatureMap, Region, Vector
from indexer.search.windows import Found, best_window, sight_of
from inference.encoder import OnnxEncoder
from inference.feature_maps import rendered_map
from inference.preprocess import Pixels

SHOWN: Final = 10
LOOKED_AT: Final = 40
WHOLE: Final = "whole frame"
AS_FOUND: Final = "not ranked again"
ANYWHERE: Final = "random place"


@dataclass(slots=True)
class Lesions:
    """The frames of a benchmark that are asked with and found: same data set, modality and sequence.

    `vector` is float32 (n, d), unit rows, of the benchmark's images.
    """

    benchmark: Benchmark
    vector: Vector
    encoder: OnnxEncoder
    _maps: dict[int, FeatureMap] = field(default_factory=dict)

    def rectangle(self, index: int) -> Region | None:
        """Around the lesion of an image; None where it has none."""
        mask = self.benchmark.mask(index)
        return None if mask is None else bounding(mask)

    def seen(self, index: int) -> FeatureMap:
        """What the encoder saw in an image."""
        if index not in self._maps:
            seen = rendered_map(self.encoder, self.benchmark.pixels(index))
            self._maps[index] = FeatureMap(seen.encoder, seen.cells.astype(np.float16), seen.area)
        kept = self._maps[index]
        return FeatureMap(kept.encoder, kept.cells.astype(np.float32), kept.area)

    def nearest(self, query: int, vector: Vector, count: int) -> list[int]:
        """The best image of each other subject, of the same kind as the query, best first."""
        alike = self.vector @ vector
        best: dict[str, int] = {}
        for index in self.of_others(query):
            subject = self.benchmark.images[index].subject
            held = best.get(subject)
            if held is None or alike[index] > alike[held]:
                best[subject] = index
        return sorted(best.values(), key=lambda index: -float(alike[index]))[:count]

    def of_others(self, query: int) -> list[int]:
        """The images of other subjects that are of the query's kind."""
        asked = self.benchmark.images[query]
        return [
            index
            for index, image in enumerate(self.benchmark.images)
            if _kind(image) == _kind(asked) and image.subject != asked.subject
        ]


@dataclass(frozen=True, slots=True)
class _Answered:
    """One query: P@10 by way of asking, and how well the places fit, beside places drawn at random."""

    subject: str
    precision: dict[str, float]
    chance: float
    overlap: tuple[float, float]
    hit: tuple[float, float]


def region_comparisons(
    benchmark: Benchmark,
    vector: Vector,
    encoder: OnnxEncoder,
    queries: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Comparison, ...]:
    """Ask with the rectangles around lesions, as the search does, of other subjects alone.

    `P@10`: the share of the first ten subjects whose frame shows a lesion, beside asking with the whole
    frame and beside the region without ranking again by windows. Of those among them that show one: the
    `IoU` of the place with the rectangle around it, and the `hit` rate, the middle of the place being in the
    lesion, both beside a place of the same size drawn at random.

    Args:
        benchmark: some of whose images have masks; empty is answered where none has.
        vector: float32 (n, d), unit rows, of its images.
        encoder: that made them.
        queries: how many lesions are asked with.
        seed: of their choice, and of the random places.
        progress: told after each query.
    """
    lesions = Lesions(benchmark, vector, encoder)
    held = [n for n, image in enumerate(benchmark.images) if image.mask and vector[n].any()]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(held)[:queries]
    answered = []
    for query in chosen.tolist():
        one = _answer(lesions, query, rng)
        if one is not None:
            answered.append(one)
        if progress is not None:
            progress(1)
    return tuple(_comparisons(answered)) if answered else ()


def bounding(mask: Pixels) -> Region | None:
    """The rectangle around what a mask marks, in fractions of the frame; None where it marks nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    return Region(
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1 - columns[0]) / width),
        float((rows[-1] + 1 - rows[0]) / height),
    )


def overlap(one: Region, other: Region) -> float:
    """Intersection over union, in [0, 1]."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(across, 0.0) * max(down, 0.0)
    return both / (one.width * one.height + other.width * other.height - both)


def _answer(lesions: Lesions, query: int, rng: np.random.Generator) -> _Answered | None:
    rectangle = lesions.rectangle(query)
    sight = sight_of(lesions.seen(query), rectangle) if rectangle is not None else None
    if rectangle is None or sight is None:
        return None
    asked = sight.inside / np.linalg.norm(sight.inside)
    near = lesions.nearest(query, np.asarray(asked, dtype=np.float32), LOOKED_AT)
    windows = {index: best_window(lesions.seen(index), sight, rectangle) for index in near}
    ranked = sorted(near, key=lambda index: -_score(windows[index]))[:SHOWN]
    by_frame = lesions.nearest(query, lesions.vector[query], SHOWN)
    ways = {"": ranked, AS_FOUND: near[:SHOWN], WHOLE: by_frame}
    fits = [_fit(lesions, index, windows[index], rng) for index in ranked]
    known = np.array([fit for fit in fits if fit is not None]).reshape(-1, 4)
    means = known.mean(axis=0) if len(known) else np.zeros(4)
    return _Answered(
        subject=lesions.benchmark.images[query].subject,
        precision={way: _share(lesions, found) for way, found in ways.items()},
        chance=_share(lesions, lesions.of_others(query)),
        overlap=(float(means[0]), float(means[1])),
        hit=(float(means[2]), float(means[3])),
    )


def _kind(image: LabelledImage) -> tuple[str, str, str]:
    return image.dataset, image.modality, image.view_or_sequence


def _score(found: Found | None) -> float:
    return -2.0 if found is None else found.score


def _share(lesions: Lesions, found: Sequence[int]) -> float:
    """How many of these images show a lesion."""
    return float(np.mean([bool(lesions.benchmark.images[index].mask) for index in found])) if found else 0.0


def _fit(
    lesions: Lesions, index: int, found: Found | None, rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """IoU of the place and of a random one, then whether the middle of each is in the lesion."""
    mask, rectangle = lesions.benchmark.mask(index), lesions.rectangle(index)
    if mask is None or rectangle is None or found is None:
        return None
    place = found.place
    left, top = rng.random() * (1 - place.width), rng.random() * (1 - place.height)
    anywhere = Region(float(left), float(top), place.width, place.height)
    return (
        overlap(place, rectangle),
        overlap(anywhere, rectangle),
        _is_hit(place, mask),
        _is_hit(anywhere, mask),
    )


def _is_hit(place: Region, mask: Pixels) -> float:
    height, width = mask.shape
    row = min(int((place.top + place.height / 2) * height), height - 1)
    column = min(int((place.left + place.width / 2) * width), width - 1)
    return float(mask[row, column] > 0)


def _comparisons(answered: Sequence[_Answered]) -> Iterator[Comparison]:
    subjects = tuple(one.subject for one in answered)

    def measured(measure: str, values: list[float], chance: float | None = None) -> list[Measurement]:
        column: NDArray[np.float64] = np.array(values, dtype=np.float64)
        return [Measurement(REGIONS, "lesion", measure, column, subjects, chance)]

    chance = float(np.mean([one.chance for one in answered]))
    precision = {
        way: measured("P@10", [one.precision[way] for one in answered], chance)
        for way in ("", WHOLE, AS_FOUND)
    }
    yield from compare(precision[""], {way: precision[way] for way in (WHOLE, AS_FOUND)})
    for name, pairs in (("IoU", [a.overlap for a in answered]), ("hit", [a.hit for a in answered])):
        own, other = (measured(name, [pair[place] for pair in pairs]) for place in (0, 1))
        yield from compare(own, {ANYWHERE: other})
