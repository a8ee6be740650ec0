"""Rankings in which a query's own subject is no neighbour, and what of the nearest bears its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.chance import expected_by_chance
from evaluation.errors import BenchmarkError
from indexer.domain import Vector

CUTOFFS: Final = (1, 5, 10, 30)
CHANCE: Final = "chance"
_CHUNK: Final = 512
_SMALLEST_NORM: Final = 1e-9

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The neighbours of one query.

    Attributes:
        nearest: at most k indices into the gallery, nearest first; equal scores in the gallery's order.
        allowed: bool (gallery,), what could have been a neighbour.
    """

    nearest: NDArray[np.intp]
    allowed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Vectors to rank and to judge by: float32 (n, d), with (n,) labels and (n,) subjects."""

    vector: Vector
    label: Names
    subject: Names

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths."""
        if not len(self.vector) == len(self.label) == len(self.subject):
            raise BenchmarkError(
                f"{len(self.vector)} vectors, {len(self.label)} labels and {len(self.subject)} subjects "
                "do not belong together."
            )


def unit_vectors(vectors: NDArray[np.floating]) -> Vector:
    """Rows of unit length, float32; a row of zeros stays one and is as near to everything.

    A value that is not finite stays so, unlike in the product's own `inference.encoder.unit_rows`.
    """
    given = vectors.astype(np.result_type(vectors, np.float32), copy=False)
    norms = np.linalg.norm(given, axis=1, keepdims=True)
    return np.asarray(given / np.maximum(norms, _SMALLEST_NORM), dtype=np.float32)


def rankings(
    query: Vector, gallery: Vector, query_subject: Names, gallery_subject: Names, k: int
) -> Iterator[Ranking]:
    """Rank the gallery for each query by cosine, own subject left out.

    Args:
        query: float32 (n, d), unit rows.
        gallery: float32 (m, d), unit rows.
        query_subject: (n,); nothing in the gallery of this subject is a neighbour.
        gallery_subject: (m,).
        k: how many neighbours, as far as the gallery has them.
    """
    for start in range(0, len(query), _CHUNK):
        score = query[start : start + _CHUNK] @ gallery.T
        own = query_subject[start : start + _CHUNK, None] == gallery_subject[None]
        score[own] = -np.inf
        for row, is_own in zip(score, own, strict=True):
            nearest = _best(row, k)
            yield Ranking(nearest[~is_own[nearest]], ~is_own)


def retrieval_by_label(
    query: Labelled, gallery: Labelled, cutoffs: Sequence[int] = CUTOFFS
) -> Mapping[str, NDArray[np.float64]]:
    """Per query: P@k, mAP@k (k > 1) and R@k for each k, and the same by chance: `chance P@k`, ….

    P@k is the share of the first k neighbours that bear the query's label (of fewer, where the gallery
    has fewer). mAP@k is the mean precision at the places, among the first k, of those that do; 0
    without one. R@k is 1 where at least one of the first k does. Chance is the expectation over random
    rankings of what is allowed; `chance` alone is that of P@k, which is the same for every k.

    Returns:
        float64 (n,) each, in [0, 1].

    Raises:
        BenchmarkError: a query has no neighbour, since all the gallery is of its own subject.

    Source:
        P, mAP: Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, section
        8.4. R@k as in image retrieval: Oh Song et al., "Deep metric learning via lifted structured
        feature embedding", CVPR 2016, section 5.
    """
    names = [f"P@{k}" for k in cutoffs] + [f"mAP@{k}" for k in cutoffs if k > 1]
    values = {name: np.zeros(len(query.label)) for name in (*names, *(f"R@{k}" for k in cutoffs))}
    right, allowed = (np.zeros(len(query.label), dtype=np.intp) for _ in range(2))
    ranked = rankings(query.vector, gallery.vector, query.subject, gallery.subject, max(cutoffs))
    for index, ranking in enumerate(ranked):
        if len(ranking.nearest) == 0:
            raise BenchmarkError(
                f"A query of subject {query.subject[index]} has no neighbour of another subject: every "
                "image that bears this kind of label is of one subject."
            )
        good = gallery.label[ranking.nearest] == query.label[index]
        for k in cutoffs:
            values[f"P@{k}"][index] = good[:k].mean()
            values[f"R@{k}"][index] = good[:k].any()
            if k > 1:
                values[f"mAP@{k}"][index] = average_precision(good[:k])
        right[index] = (gallery.label[ranking.allowed] == query.label[index]).sum()
        allowed[index] = ranking.allowed.sum()
    chance = expected_by_chance(right, allowed, cutoffs)
    named = {f"{CHANCE} {name}": column for name, column in chance.items()}
    return values | named | {CHANCE: right / allowed}


def average_precision(good: NDArray[np.bool_]) -> float:
    """Mean of the precision at each place where `good` holds, nearest first; 0 where it nowhere does."""
    precision = np.cumsum(good) / np.arange(1, len(good) + 1)
    return float((precision * good).sum() / max(int(good.sum()), 1))


def _best(score: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """The indices of the k largest, as a stable sort of all would give them."""
    if k >= len(score):
        return np.argsort(-score, kind="stable")
    least = np.partition(score, -k)[-k]
    candidates = np.flatnonzero(score >= least)
    return np.asarray(candidates[np.argsort(-score[candidates], kind="stable")][:k])
