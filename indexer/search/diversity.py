"""Diversity on request: matches that are alike to the example and unlike one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from indexer.domain import SeriesEmbedding
from indexer.search.ranking import RankedStudy

MOST_BESIDES: Final = 50
"""How many studies are looked at beyond those that are wanted: their vectors are read."""


def diversified(
    ranked: Sequence[RankedStudy], stored: Mapping[str, SeriesEmbedding], diversity: float, limit: int
) -> list[RankedStudy]:
    """Maximal marginal relevance: each next study is alike to the question and unlike those before it.

    Args:
        ranked: more than are wanted, best first.
        stored: the vectors of the series that carry them, by archive id; one that is gone is left out.
        diversity: 1 - lambda, in [0, 1]; 0 keeps the order.
        limit: how many are wanted.

    Two studies are as alike as the pooled vectors of the series that carry them; vectors of two encoders
    are not compared and count as unlike.

    Source:
        J. Carbonell and J. Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents
        and Producing Summaries, SIGIR 1998.
    """
    if diversity <= 0:
        return list(ranked[:limit])
    left = [study for study in ranked if study.best.reference.archive_id in stored]
    vectors = [stored[study.best.reference.archive_id] for study in left]
    scores = np.asarray([study.score for study in left])
    nearest = np.full(len(left), -1.0)
    chosen: list[int] = []
    while len(chosen) < min(limit, len(left)):
        worth = (1 - diversity) * scores - diversity * nearest if chosen else scores.copy()
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        chosen.append(best)
        nearest = np.maximum(nearest, [_alike(vectors[best], other) for other in vectors])
    return [left[place] for place in chosen]


def _alike(one: SeriesEmbedding, other: SeriesEmbedding) -> float:
    return float(one.vector @ other.vector) if one.encoder == other.encoder else 0.0
