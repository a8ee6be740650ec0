"""Graded relevance: how much two images are alike in what they show, and nDCG by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.errors import BenchmarkError
from evaluation.ranking import CHANCE
from indexer.domain import Vector
from inference.preprocess import Pixels

CUTOFFS: Final = (5, 10, 20)
MASK_SIDE: Final = 64
HISTOGRAM_BINS: Final = 64
_WHITE: Final = 255
_BACKGROUND: Final = 0.02

OfPairs = Callable[[int, NDArray[np.intp]], NDArray[np.float32]]
"""A value in [0, 1] or a cosine for each of the others, given a query's index and theirs."""


class Relevance(Protocol):
    """How relevant images are to a query, in [0, 1]."""

    def of(self, query: int, others: NDArray[np.intp]) -> NDArray[np.float32]:
        """float32 (n,), one of the `others` each; indices are those of the benchmark."""
        ...


@dataclass(frozen=True, slots=True)
class MaskOverlap:
    """Intersection over union of lesion masks: alike where the lesions lie at the same place.

    `masks` is float32 (n, side * side) of 0 and 1; an image without a mask is a row of zeros and
    relevant to nothing.
    """

    masks: NDArray[np.float32]

    @classmethod
    def of_masks(cls, masks: Sequence[Pixels | None], side: int = MASK_SIDE) -> MaskOverlap:
        """Bring masks, (rows, columns) of 0 and 1, to side x side (bicubic, cut at one half)."""
        rows = np.zeros((len(masks), side * side), dtype=np.float32)
        for row, mask in zip(rows, masks, strict=True):
            if mask is not None:
                picture = Image.fromarray((mask * _WHITE).astype(np.uint8)).resize((side, side))
                row[:] = np.asarray(picture).ravel() > _WHITE // 2
        return cls(rows)

    @property
    def with_lesion(self) -> NDArray[np.intp]:
        """Indices of the images whose mask is not empty."""
        return np.flatnonzero(self.masks.any(axis=1))

    def of(self, query: int, others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Jaccard index of the masks."""
        area = self.masks.sum(axis=1)
        shared = self.masks[others] @ self.masks[query]
        union = area[others] + area[query] - shared
        return np.asarray(shared / np.maximum(union, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class GreyHistograms:
    """Intersection of grey histograms: alike where as much is as bright. float32 (n, bins), rows sum to 1.

    Source:
        Swain and Ballard, "Color indexing", International Journal of Computer Vision 7(1), 1991,
        equation 1 with normalised histograms.
    """

    histograms: NDArray[np.float32]

    @classmethod
    def of_images(cls, images: Sequence[Pixels], bins: int = HISTOGRAM_BINS) -> GreyHistograms:
        """Histograms of what is not black background, over grey values in [0, 1]."""
        return cls(np.stack([_histogram(pixels, bins) for pixels in images]))

    def of(self, query: int, others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Sum of the smaller of each bin."""
        return np.asarray(np.minimum(self.histograms[others], self.histograms[query]).sum(axis=1))


def ndcg(
    vector: Vector,
    relevance: Relevance,
    queries: Sequence[int] | NDArray[np.intp],
    allowed: Callable[[int], NDArray[np.intp]],
    cutoffs: Sequence[int] = CUTOFFS,
) -> tuple[NDArray[np.intp], Mapping[str, NDArray[np.float64]]]:
    """Normalised discounted cumulative gain: relevance / log2(1 + rank), over the best that was possible.

    Args:
        vector: float32 (n, d), unit rows.
        relevance: of pairs of these n.
        queries: indices.
        allowed: the indices that may be a neighbour of a query: other subjects, and what else is asked.
        cutoffs: ranks at which the sum ends.

    Returns:
        The queries that something is relevant to, and for each of them `nDCG@n` and `chance@n`, float64,
        in [0, 1]; chance is the expectation over random rankings of what is allowed.

    Raises:
        BenchmarkError: nothing is relevant to any query.

    Source:
        Jaervelin and Kekaelaeinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4),
        2002, with the discount of Burges et al., "Learning to rank using gradient descent", ICML 2005.
    """
    return graded_ndcg(
        lambda query, others: vector[others] @ vector[query], relevance.of, queries, allowed, cutoffs
    )


def graded_ndcg(
    similarity: OfPairs,
    grades: OfPairs,
    queries: Sequence[int] | NDArray[np.intp],
    allowed: Callable[[int], NDArray[np.intp]],
    cutoffs: Sequence[int] = CUTOFFS,
) -> tuple[NDArray[np.intp], Mapping[str, NDArray[np.float64]]]:
    """What `ndcg` gives, for any similarity of a query to others and any grades of theirs, (n,) each."""
    discount = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    kept: list[int] = []
    values: dict[str, list[float]] = {f"{name}@{n}": [] for n in cutoffs for name in ("nDCG", CHANCE)}
    for query in map(int, queries):
        others = allowed(query)
        given = grades(query, others)
        best = np.sort(given)[::-1]
        if len(best) == 0 or best[0] <= 0:
            continue
        kept.append(query)
        ranked = given[np.argsort(-similarity(query, others), kind="stable")]
        for n in cutoffs:
            weights = discount[: min(n, len(best))]
            ideal = float((best[:n] * weights).sum())
            values[f"nDCG@{n}"].append(float((ranked[:n] * weights).sum()) / ideal)
            values[f"{CHANCE}@{n}"].append(float(given.mean() * weights.sum()) / ideal)
    if not kept:
        raise BenchmarkError("nDCG has no figure: nothing is relevant to any query.")
    return np.array(kept, dtype=np.intp), {name: np.array(column) for name, column in values.items()}


def _histogram(pixels: Pixels, bins: int) -> NDArray[np.float32]:
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    shown = grey[grey > _BACKGROUND]
    counts, _ = np.histogram(shown, bins=bins, range=(0.0, 1.0))
    return np.asarray(counts / max(counts.sum(), 1), dtype=np.float32)
