"""Text retrieval in a joint space: from an image to its caption, and from a caption to its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import BenchmarkError
from evaluation.ranking import unit_vectors
from indexer.domain import Vector

CUTOFFS: Final = (1, 5, 10)
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class TextRetrieval:
    """How far down the right answer came; 0 is at the top. A tie counts for the right answer.

    Where many are tied (vectors that have collapsed into one, say) the figures are too good: look at the
    share of ties beside them.

    Attributes:
        image: (n,) indices of the images that have a caption here.
        caption: (m,) indices of the captions that an image has.
        image_to_text: int (n,) how many captions are nearer to an image than its own.
        text_to_image: int (m,) how many images of other captions are nearer than the best of its own.
        images_of_caption: int (m,) how many images bear it.
        image_to_text_tied: bool (n,) whether a wrong caption is as near to an image as its own.
        text_to_image_tied: bool (m,) whether an image of another caption is as near as the best of its own.
    """

    image: NDArray[np.intp]
    caption: NDArray[np.intp]
    image_to_text: NDArray[np.intp]
    text_to_image: NDArray[np.intp]
    images_of_caption: NDArray[np.intp]
    image_to_text_tied: NDArray[np.bool_]
    text_to_image_tied: NDArray[np.bool_]

    @property
    def chance_image_to_text(self) -> dict[str, float]:
        """Expected R@k and MRR of a random order of the captions."""
        return _chance(len(self.caption), np.ones(1, dtype=np.intp))

    @property
    def chance_text_to_image(self) -> dict[str, float]:
        """Expected R@k and MRR of a random order of the images, the best of a caption's own counting."""
        return _chance(len(self.image), self.images_of_caption)


def text_retrieval(
    image_vector: Vector, caption_of_image: Sequence[str], captions: Sequence[str], caption_vector: Vector
) -> TextRetrieval:
    """Rank captions for images and images for captions, by cosine, each distinct caption once.

    Args:
        image_vector: float32 (n, d), unit rows.
        caption_of_image: (n,) the caption of each image; what is not among `captions` is left out.
        captions: (m,) distinct.
        caption_vector: float32 (m, d), of any length.

    Raises:
        BenchmarkError: no image has one of these captions.
    """
    where = {caption: index for index, caption in enumerate(captions)}
    kept = np.array([i for i, caption in enumerate(caption_of_image) if caption in where], dtype=np.intp)
    if len(kept) == 0:
        raise BenchmarkError("No image has one of the captions that were embedded.")
    truth = np.array([where[caption_of_image[i]] for i in kept], dtype=np.intp)
    used = np.unique(truth)
    score = image_vector[kept] @ unit_vectors(caption_vector)[used].T
    column = np.searchsorted(used, truth)
    own = score[np.arange(len(kept)), column]
    best = np.array([score[column == c, c].max() for c in range(len(used))])
    is_own = column[:, None] == np.arange(len(used))
    return TextRetrieval(
        image=kept,
        caption=used,
        image_to_text=(score > own[:, None]).sum(axis=1),
        text_to_image=np.array([(score[:, c] > best[c]).sum() for c in range(len(used))], dtype=np.intp),
        images_of_caption=np.bincount(column),
        image_to_text_tied=(~is_own & (np.abs(score - own[:, None]) <= _ROUNDING)).any(axis=1),
        text_to_image_tied=(~is_own & (np.abs(score - best) <= _ROUNDING)).any(axis=0),
    )


def recall_and_rank(
    ahead: NDArray[np.intp], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, NDArray[np.float64]]:
    """Per query, from how many wrong answers came first: R@k (0 or 1) and MRR, the reciprocal rank.

    Source:
        Voorhees, "The TREC-8 question answering track report", TREC 1999 (mean reciprocal rank).
    """
    values = {f"R@{k}": (ahead < k).astype(np.float64) for k in cutoffs}
    return values | {"MRR": np.asarray(1.0 / (1.0 + ahead), dtype=np.float64)}


def _chance(candidates: int, right: NDArray[np.intp]) -> dict[str, float]:
    """Expectation over random orders, averaged over queries with so many right answers each.

    The wrong ones that come before the first of c right ones among n: it is j with the probability
    C(n - j - 1, c - 1) / C(n, c).
    """
    totals = dict.fromkeys([*(f"R@{k}" for k in CUTOFFS), "MRR"], 0.0)
    sizes, counts = np.unique(right, return_counts=True)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        none_yet = np.cumprod(1 - size / np.arange(candidates, size - 1, -1, dtype=np.float64))
        at = -np.diff(np.concatenate([[1.0], none_yet]))
        for k in CUTOFFS:
            totals[f"R@{k}"] += count * float(at[:k].sum())
        totals["MRR"] += count * float((at / np.arange(1, len(at) + 1)).sum())
    return {name: total / len(right) for name, total in totals.items()}
