"""Filters of the protocol as Edge understands them."""

from __future__ import annotations

from typing import assert_never

import qdrant_edge as edge

from engine.conditions import (
    Condition,
    FieldCondition,
    Filter,
    HasId,
    HasVector,
    IsEmpty,
    IsNull,
    Match,
    Range,
)

EdgeCondition = (
    edge.FieldCondition
    | edge.IsEmptyCondition
    | edge.IsNullCondition
    | edge.HasIdCondition
    | edge.HasVectorCondition
    | edge.NestedCondition
    | edge.Filter
)


def edge_filter(wanted: Filter | None) -> edge.Filter | None:
    """The same filter for Edge. A list without conditions asks for nothing, as on a server."""
    return None if wanted is None else _edge_filter(wanted)


def _edge_filter(wanted: Filter) -> edge.Filter:
    least = wanted.min_should
    return edge.Filter(
        must=_conditions(wanted.must),
        should=_conditions(wanted.should),
        must_not=_conditions(wanted.must_not),
        min_should=edge.MinShould(_conditions(least.conditions) or [], least.min_count) if least else None,
    )


def merged(*filters: edge.Filter | None) -> edge.Filter | None:
    """A filter that asks for all of the filters."""
    given: list[EdgeCondition] = [one for one in filters if one is not None]
    if len(given) < 2:
        return next((one for one in filters if one is not None), None)
    return edge.Filter(must=given)


def _conditions(conditions: list[Condition] | None) -> list[EdgeCondition] | None:
    return [_condition(condition) for condition in conditions] if conditions else None


def _condition(condition: Condition) -> EdgeCondition:
    match condition:
        case FieldCondition():
            return _field(condition)
        case IsEmpty():
            return edge.IsEmptyCondition(condition.is_empty.key)
        case IsNull():
            return edge.IsNullCondition(condition.is_null.key)
        case HasId():
            return edge.HasIdCondition(set(condition.has_id))
        case HasVector():
            return edge.HasVectorCondition(condition.has_vector)
        case Filter():
            return _edge_filter(condition)
        case _:
            assert_never(condition)


def _field(condition: FieldCondition) -> edge.FieldCondition:
    return edge.FieldCondition(
        condition.key,
        match=_match(condition.match) if condition.match is not None else None,
        range=_range(condition.range) if condition.range is not None else None,
        is_empty=condition.is_empty,
        is_null=condition.is_null,
    )


def _match(match: Match) -> edge.MatchValue | edge.MatchAny | edge.MatchExcept:
    if match.any is not None:
        return edge.MatchAny(match.any)
    if match.except_ is not None:
        return edge.MatchExcept(match.except_)
    assert match.value is not None  # noqa: S101 - the model has exactly one of the three
    return edge.MatchValue(match.value)


def _range(bounds: Range) -> edge.RangeFloat | edge.RangeDateTime:
    given = {"gt": bounds.gt, "gte": bounds.gte, "lt": bounds.lt, "lte": bounds.lte}
    if any(isinstance(bound, str) for bound in given.values()):
        return edge.RangeDateTime(**given)  # type: ignore[arg-type]
    return edge.RangeFloat(**given)  # type: ignore[arg-type]
