"""Questions of the protocol as Edge understands them: nested prefetches, and queries by point id."""

from __future__ import annotations

from collections.abc import Callable

import qdrant_edge as edge

from engine.conditions import Filter, HasId
from engine.errors import BadRequest
from engine.filters import edge_filter, merged
from engine.protocol import (
    Exclude,
    Include,
    Nearest,
    Params,
    Prefetch,
    Question,
    VectorParams,
    WithPayload,
    WithVector,
)
from engine.wire import Array

DEFAULT_LIMIT = 10

Selector = bool | list[str] | edge.PayloadSelector
Stored = Callable[[int | str, str], Array]


class QueryBuilder:
    """Translates for one collection; `stored` gives the vector of a point, for queries by id."""

    def __init__(self, vectors: dict[str, VectorParams], stored: Stored) -> None:
        self._vectors = vectors
        self._stored = stored

    def request(self, question: Question) -> edge.QueryRequest:
        """A whole question. Raises BadRequest for a vector that the collection does not have."""
        return edge.QueryRequest(
            limit=question.limit or DEFAULT_LIMIT,
            offset=question.offset or 0,
            query=self._nearest(question.query, question.using),
            prefetches=[self._stage(stage) for stage in question.prefetch or ()],
            filter=_filter(question),
            score_threshold=question.score_threshold,
            params=_params(question.params),
            with_vector=with_vector(self._vectors, question.with_vector),
            with_payload=with_payload(question.with_payload, default=False),
        )

    def _stage(self, stage: Prefetch) -> edge.Prefetch:
        return edge.Prefetch(
            limit=stage.limit or DEFAULT_LIMIT,
            query=self._nearest(stage.query, stage.using),
            prefetches=[self._stage(inner) for inner in stage.prefetch or ()],
            params=_params(stage.params),
            filter=_filter(stage),
            score_threshold=stage.score_threshold,
        )

    def _nearest(self, query: Nearest, using: str) -> edge.Query:
        vector = query.vector
        if vector is None:
            assert query.point_id is not None  # noqa: S101 - one of the two is always there
            vector = self._stored(query.point_id, using)
        check_vector(self._vectors, using, vector)
        return edge.Query.Nearest(vector, using)  # type: ignore[arg-type]


def check_vector(vectors: dict[str, VectorParams], name: str, vector: Array) -> None:
    """Raise BadRequest unless the collection has such a vector, of this shape."""
    _check_name(vectors, name)
    expected, got = vectors[name].size, vector.shape[-1]
    if expected != got:
        raise BadRequest(f"Wrong input: Vector dimension error: expected dim: {expected}, got {got}")
    if vector.ndim == 2 and vectors[name].multivector_config is None:
        raise BadRequest(f"Wrong input: Conversion between multi and regular vectors failed: {name}")


def _check_name(vectors: dict[str, VectorParams], name: str) -> None:
    if name not in vectors:
        raise BadRequest(f"Wrong input: Not existing vector name error: {name}")


def with_payload(wanted: WithPayload | None, *, default: bool) -> Selector:
    """Which payload fields to give."""
    match wanted:
        case None:
            return default
        case Include():
            return edge.PayloadSelector.Include(wanted.include)
        case Exclude():
            return edge.PayloadSelector.Exclude(wanted.exclude)
        case _:
            return wanted


def with_vector(vectors: dict[str, VectorParams], wanted: WithVector | None) -> bool | list[str]:
    """Which vectors to give; none when the request does not say. Raises BadRequest for an unknown one."""
    if isinstance(wanted, list):
        for name in wanted:
            _check_name(vectors, name)
    return wanted or False


def _filter(stage: Prefetch) -> edge.Filter | None:
    """The filter of a stage; a point that is asked about is no answer to itself."""
    asked = stage.query.point_id
    itself = None if asked is None else Filter(must_not=[HasId(has_id=[asked])])
    return merged(edge_filter(stage.filter), edge_filter(itself))


def _params(params: Params | None) -> edge.SearchParams | None:
    if params is None:
        return None
    return edge.SearchParams(
        hnsw_ef=params.hnsw_ef,
        exact=params.exact or False,
        indexed_only=params.indexed_only or False,
    )
