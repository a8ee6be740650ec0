"""The nearest studies: found by the pooled vector, ranked again by the frames, one series of each study."""

from __future__ import annotations

from functools import cached_property

from qdrant_client import QdrantClient, models

from indexer.adapters.qdrant.points import FRAMES, POOLED, UNASKED, candidate_of, sent
from indexer.adapters.qdrant.scope import filter_of
from indexer.domain import Candidate, Scope, Vector

DEPTH = 4
LEAST_DEPTH = 100
MOST_TIED_STUDIES = 1000
HNSW_EF = 512
"""Leaving out a patient costs recall at the default width of the search (.927 at 500,000 series)."""


class NearestStudies:
    """One question; asked again, deeper, until the answer is whole.

    The prefetch is as deep as series, not studies: a few studies of many series may fill it. And where
    the last study that is wanted scores like the next one, all that score so are fetched, because the
    order among equals is ours and not Qdrant's.
    """

    def __init__(
        self, client: QdrantClient, collection: str, vector: Vector, frame_vectors: Vector, scope: Scope
    ) -> None:
        self._client = client
        self._collection = collection
        self._vector = vector
        self._frame_vectors = frame_vectors
        self._filter = filter_of(scope)

    def find(self, limit: int) -> tuple[Candidate, ...]:
        """The best series of each of the `limit` nearest studies, best first."""
        studies, depth = limit + 1, max(limit * DEPTH, LEAST_DEPTH)
        while True:
            found = self._ask(studies, depth)
            full = len(found) >= studies
            if full and _score(found[limit - 1]) != _score(found[-1]):
                break
            if (depth >= self._available and not full) or studies > limit + MOST_TIED_STUDIES:
                break
            studies = studies * 2 if full else studies
            depth = max(depth, min(max(depth, studies) * DEPTH, self._available))
        return tuple(sorted(found, key=_rank)[:limit])

    @cached_property
    def _available(self) -> int:
        return self._client.count(self._collection, count_filter=self._filter, exact=True).count

    def _ask(self, studies: int, depth: int) -> list[Candidate]:
        found = self._client.query_points_groups(
            self._collection,
            group_by="study_instance_uid",
            group_size=1,
            limit=studies,
            prefetch=models.Prefetch(
                query=sent(self._vector),
                using=POOLED,
                filter=self._filter,
                params=models.SearchParams(hnsw_ef=HNSW_EF),
                limit=depth,
            ),
            query=sent(self._frame_vectors),
            using=FRAMES,
            with_payload=models.PayloadSelectorExclude(exclude=UNASKED),
        )
        hits = [hit for group in found.groups for hit in group.hits]
        return [candidate_of(hit.payload or {}, hit.score, len(self._frame_vectors)) for hit in hits]


def _score(candidate: Candidate) -> float:
    return round(candidate.score, 6)


def _rank(candidate: Candidate) -> tuple[float, str]:
    return -_score(candidate), candidate.reference.study_instance_uid
