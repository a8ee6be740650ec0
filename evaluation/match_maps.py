"""Do match maps show what makes two frames alike? Insertion and deletion, and weights made random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import spearmanr

from evaluation.benchmark import Benchmark
from evaluation.deletion import STEPS, Curve, Patches, deletion_and_insertion, patches_of
from evaluation.embedding import Progress
from evaluation.measurement import MAPS, Comparison, Measurement, compare
from indexer.domain import MatchMap, Region, Vector
from indexer.search.match_maps import match_maps
from inference.covered import CoveredFrame, cover
from inference.encoder import OnnxEncoder
from inference.feature_maps import rendered_map
from inference.occlusion import PATCHES, losses
from inference.preprocess import Pixels

FEATURES: Final = "feature map"
OCCLUSION: Final = "occlusion"
RANDOM: Final = "random order"
TASK: Final = "frame and its nearest"
WITH_OCCLUSION: Final = "rank correlation with occlusion"
WITH_RANDOM: Final = "with random weights"
_OCCLUSION_RANDOM: Final = "occlusion with random weights"
_FEATURES_RANDOMISED: Final = "feature map, randomised"
_OCCLUSION_RANDOMISED: Final = "occlusion, randomised"
_AGREEMENTS: Final = {
    WITH_OCCLUSION: (FEATURES, OCCLUSION),
    WITH_RANDOM: (FEATURES, _FEATURES_RANDOMISED),
    _OCCLUSION_RANDOM: (OCCLUSION, _OCCLUSION_RANDOMISED),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rendered frames, float32 in [0, 1]; `subject` is whose the first is."""

    one: Pixels
    other: Pixels
    subject: str


@dataclass(frozen=True, slots=True)
class Curves:
    """How alike a frame is to another while its patches are taken away, and while they are given back.

    float64 (pairs, STEPS + 1) each, cosines; `order` is whose order the patches went by.
    """

    order: str
    deletion: Curve
    insertion: Curve


@dataclass(frozen=True, slots=True)
class MapFigures:
    """The figures of match maps, and the curves behind them."""

    comparisons: tuple[Comparison, ...]
    curves: tuple[Curves, ...]


def nearest_pairs(benchmark: Benchmark, vector: Vector, count: int, seed: int = 0) -> list[Pair]:
    """Images at random, each with the most alike image of another subject in its data set.

    Args:
        benchmark: of the images.
        vector: float32 (n, d), unit rows, of them; an image whose row is zero is left out.
        count: at most so many pairs.
        seed: of the choice.
    """
    usable = np.flatnonzero(vector.any(axis=1))
    order = np.random.default_rng(seed).permutation(usable)
    dataset = np.array([image.dataset for image in benchmark.images])
    subject = np.array([image.subject for image in benchmark.images])
    pairs: list[Pair] = []
    for index in order:
        others = usable[(dataset[usable] == dataset[index]) & (subject[usable] != subject[index])]
        if len(pairs) < count and len(others):
            nearest = int(others[np.argmax(vector[others] @ vector[index])])
            one, other = benchmark.pixels(int(index)), benchmark.pixels(nearest)
            pairs.append(Pair(one, other, str(subject[index])))
    return pairs


def map_figures(
    encoder: OnnxEncoder,
    randomised: OnnxEncoder | None,
    pairs: Sequence[Pair],
    seed: int = 0,
    progress: Progress | None = None,
) -> MapFigures:
    """Compare the order in which a match map puts the patches of a frame with others.

    Deletion: the most important patches are covered with the frame's mean first, and a good order makes the
    likeness fall soon: less is better. Insertion: they are given back first to a frame that is all mean, and
    a good order makes it rise soon: more is better. Beside them, the rank correlation of the map with that
    of occlusion, and with the map of an encoder whose weights are random, beside the same of occlusion: the
    nearer to 1, the more a map shows what any network sees (where a frame is not empty), and the less what
    was learned.

    Args:
        encoder: whose maps are measured.
        randomised: the same model, its weights random (see `evaluation.random_weights`); None leaves that
            figure out.
        pairs: frames to compare.
        seed: of the random orders.
        progress: told after each pair.

    Source:
        Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC
        2018, section 3 (insertion, deletion); Adebayo et al., "Sanity checks for saliency maps", NeurIPS
        2018, section 3 (randomisation of the model's parameters).
    """
    rng = np.random.default_rng(seed)
    curves: dict[str, list[tuple[Curve, Curve]]] = {FEATURES: [], OCCLUSION: [], RANDOM: []}
    agreement: dict[str, list[float]] = {name: [] for name in _AGREEMENTS}
    for pair in pairs:
        one = _of_pair(encoder, randomised, pair, rng)
        for name, found in curves.items():
            found.append(one.curves(encoder, name))
        for name, value in one.agreements():
            agreement[name].append(value)
        if progress is not None:
            progress(1)
    subjects = tuple(pair.subject for pair in pairs)
    return MapFigures(
        tuple(_comparisons(curves, agreement, subjects)),
        tuple(
            Curves(name, np.stack([c[0] for c in found]), np.stack([c[1] for c in found]))
            for name, found in curves.items()
        ),
    )


@dataclass(frozen=True, slots=True)
class _JudgedPair:
    """A pair's frame, the other's vector, the patches of the frame, and each order's value of a patch.

    `values` are float32 (PATCHES, PATCHES) by the name of the order.
    """

    frame: CoveredFrame
    vector: Vector
    patches: Patches
    values: Mapping[str, Vector]

    def curves(self, encoder: OnnxEncoder, name: str) -> tuple[Curve, Curve]:
        """Deletion and insertion by one of the orders."""
        order = self.patches[np.argsort(-self.values[name].ravel()[self.patches], kind="stable")]
        return deletion_and_insertion(encoder, self.frame, self.vector, order)

    def agreements(self) -> Iterator[tuple[str, float]]:
        """The rank correlation of each two orders that are compared and are there."""
        for name, (a, b) in _AGREEMENTS.items():
            if a in self.values and b in self.values:
                yield name, _rank_correlation(self.values[a], self.values[b], self.patches)


def _of_pair(
    encoder: OnnxEncoder, randomised: OnnxEncoder | None, pair: Pair, rng: np.random.Generator
) -> _JudgedPair:
    wanted = encoder.card.input.preprocessing
    frame, vector = cover(pair.one, wanted), encoder.encode(cover(pair.other, wanted).pixels[None])[0]
    values = _values(encoder, randomised, pair, frame, vector)
    values[RANDOM] = rng.permutation(PATCHES * PATCHES).reshape(PATCHES, PATCHES).astype(np.float32)
    return _JudgedPair(frame, vector, patches_of(frame.area), values)


def _values(
    encoder: OnnxEncoder, randomised: OnnxEncoder | None, pair: Pair, frame: CoveredFrame, vector: Vector
) -> dict[str, Vector]:
    """(PATCHES, PATCHES) over the model's input, by whose order it is."""
    found = {FEATURES: _of_features(encoder, pair, frame), OCCLUSION: losses(encoder, frame, vector)}
    if randomised is not None:
        wanted = randomised.card.input.preprocessing
        other = randomised.encode(cover(pair.other, wanted).pixels[None])[0]
        found[_FEATURES_RANDOMISED] = _of_features(randomised, pair, frame)
        found[_OCCLUSION_RANDOMISED] = losses(randomised, frame, other)
    return found


def _of_features(encoder: OnnxEncoder, pair: Pair, frame: CoveredFrame) -> Vector:
    found, _ = match_maps(rendered_map(encoder, pair.one), rendered_map(encoder, pair.other))
    return patch_values(found, frame.area)


def patch_values(found: MatchMap, area: Region, patches: int = PATCHES) -> Vector:
    """The value of a map at the middle of each patch of a model's input that shows `area` of the frame."""
    middles = (np.arange(patches) + 0.5) / patches
    rows, columns = found.values.shape
    down = (area.top + middles * area.height - found.area.top) / found.area.height * rows
    across = (area.left + middles * area.width - found.area.left) / found.area.width * columns
    row = np.clip(np.floor(down), 0, rows - 1).astype(int)
    column = np.clip(np.floor(across), 0, columns - 1).astype(int)
    return np.asarray(found.values[np.ix_(row, column)])


def _rank_correlation(one: Vector, other: Vector, patches: Patches) -> float:
    """Spearman's, over the patches of the frame; 0 where one map is flat."""
    a, b = one.ravel()[patches], other.ravel()[patches]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)


def _comparisons(
    curves: Mapping[str, Sequence[tuple[Curve, Curve]]],
    agreement: Mapping[str, Sequence[float]],
    subjects: tuple[str, ...],
) -> Iterator[Comparison]:
    def areas(name: str) -> list[Measurement]:
        found = []
        for measure, place in (("deletion AUC", 0), ("insertion AUC", 1)):
            area = np.array([np.trapezoid(one[place]) / STEPS for one in curves[name]])
            found.append(Measurement(MAPS, TASK, measure, area, subjects))
        return found

    def agreements(name: str, measure: str) -> list[Measurement]:
        values = np.array(agreement[name], dtype=np.float64)
        return [Measurement(MAPS, TASK, measure, values, subjects, 0.0)]

    yield from compare(areas(FEATURES), {name: areas(name) for name in (OCCLUSION, RANDOM)})
    yield from compare(agreements(WITH_OCCLUSION, WITH_OCCLUSION), {})
    if agreement[WITH_RANDOM]:
        own, other = (agreements(name, WITH_RANDOM) for name in (WITH_RANDOM, _OCCLUSION_RANDOM))
        yield from compare(own, {OCCLUSION: other})
