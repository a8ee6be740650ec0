"""The filters of the protocol: must, should, must_not, and the conditions inside."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from engine.wire import PointId, Wire


class Match(Wire):
    """Exactly one of a value, any of several values, or any but several.

    A bool cannot be matched: Edge's bindings turn `True` into the integer 1, and find nothing.
    """

    value: int | str | None = None
    any: list[str] | list[int] | None = None
    except_: list[str] | list[int] | None = Field(None, alias="except")

    @model_validator(mode="after")
    def _exactly_one(self) -> Match:
        if [self.value, self.any, self.except_].count(None) != 2:
            raise ValueError("a match is exactly one of `value`, `any` and `except`")
        return self


class Range(Wire):
    """Bounds, either all numbers or all ISO 8601 date-times."""

    gt: float | str | None = None
    gte: float | str | None = None
    lt: float | str | None = None
    lte: float | str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Range:
        kinds = {isinstance(b, str) for b in (self.gt, self.gte, self.lt, self.lte) if b is not None}
        if len(kinds) == 2:
            raise ValueError("the bounds of a range are all numbers or all date-times")
        return self


class FieldCondition(Wire):
    """What a payload field must be: exactly one test."""

    key: str
    match: Match | None = None
    range: Range | None = None
    is_empty: bool | None = None
    is_null: bool | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> FieldCondition:
        if [self.match, self.range, self.is_empty, self.is_null].count(None) != 3:
            raise ValueError("a condition is exactly one of `match`, `range`, `is_empty` and `is_null`")
        return self


class Key(Wire):
    """The name of a payload field."""

    key: str


class IsEmpty(Wire):
    """The field is missing, null or an empty list."""

    is_empty: Key


class IsNull(Wire):
    """The field is null."""

    is_null: Key


class HasId(Wire):
    """The point is one of these."""

    has_id: list[PointId]


class HasVector(Wire):
    """The point has this named vector."""

    has_vector: str


def _kind(value: object) -> str | None:
    if isinstance(value, FieldCondition | IsEmpty | IsNull | HasId | HasVector | Filter):
        return type(value).__name__
    if not isinstance(value, dict):
        return None
    kinds = {
        "key": "FieldCondition",
        "is_empty": "IsEmpty",
        "is_null": "IsNull",
        "has_id": "HasId",
        "has_vector": "HasVector",
    }
    return next((kind for field, kind in kinds.items() if field in value), "Filter")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Condition = Annotated[
    Annotated[FieldCondition, Tag("FieldCondition")]
    | Annotated[IsEmpty, Tag("IsEmpty")]
    | Annotated[IsNull, Tag("IsNull")]
    | Annotated[HasId, Tag("HasId")]
    | Annotated[HasVector, Tag("HasVector")]
    | Annotated["Filter", Tag("Filter")],
    Discriminator(_kind),
]
Conditions = Annotated[list[Condition], BeforeValidator(_as_list)]


class MinShould(Wire):
    """At least `min_count` of the conditions."""

    conditions: list[Condition]
    min_count: int = Field(ge=0)


class Filter(Wire):
    """All of `must`, one of `should`, none of `must_not`, enough of `min_should`."""

    must: Conditions | None = None
    should: Conditions | None = None
    must_not: Conditions | None = None
    min_should: MinShould | None = None


Filter.model_rebuild()
MinShould.model_rebuild()
