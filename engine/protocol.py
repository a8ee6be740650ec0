"""The bodies of the requests that the engine understands; whatever else a Qdrant server takes is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, model_validator

from engine.conditions import Filter
from engine.wire import Array, PointId, VectorArray, Wire, as_vector

Payload = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=10_000_000)]
Schema = Literal["keyword", "integer", "float", "bool", "datetime", "uuid"]

_POINT_ID: TypeAdapter[int | str] = TypeAdapter(PointId)


class Hnsw(Wire):
    """Shape of the graph; `m` 0 means none."""

    m: int | None = Field(None, ge=0)
    ef_construct: int | None = Field(None, ge=4)
    full_scan_threshold: int | None = Field(None, ge=0)
    on_disk: bool | None = None


class Multivector(Wire):
    """How two multivectors are compared."""

    comparator: Literal["max_sim"]


class VectorParams(Wire):
    """One named vector of a collection."""

    size: int = Field(ge=1, le=65_536)
    distance: Literal["Cosine", "Dot", "Euclid"]
    hnsw_config: Hnsw | None = None
    on_disk: bool | None = None
    datatype: Literal["float32", "float16"] | None = None
    multivector_config: Multivector | None = None


class CreateCollection(Wire):
    """A new collection; every vector has a name."""

    vectors: dict[str, VectorParams] = Field(min_length=1)
    hnsw_config: Hnsw | None = None
    on_disk_payload: bool | None = None


class CreateIndex(Wire):
    """A payload index."""

    field_name: str
    field_schema: Schema


class AliasOf(Wire):
    """An alias and what it stands for."""

    collection_name: str
    alias_name: str


class AliasName(Wire):
    """An alias to take away."""

    alias_name: str


class AliasNames(Wire):
    """An alias to rename."""

    old_alias_name: str
    new_alias_name: str


class CreateAlias(Wire):
    """Make an alias, or point it elsewhere."""

    create_alias: AliasOf


class DeleteAlias(Wire):
    """Take an alias away."""

    delete_alias: AliasName


class RenameAlias(Wire):
    """Rename an alias."""

    rename_alias: AliasNames


class ChangeAliases(Wire):
    """Several changes of aliases: all of them or none."""

    actions: list[CreateAlias | DeleteAlias | RenameAlias]


class NewPoint(Wire):
    """A point to store."""

    id: PointId
    vector: dict[str, VectorArray]
    payload: Payload | None = None


class Upsert(Wire):
    """Points to store."""

    points: list[NewPoint] = Field(min_length=1)


class Chosen(Wire):
    """Points chosen by id or by filter."""

    points: list[PointId] | None = None
    filter: Filter | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Chosen:
        if (self.points is None) == (self.filter is None):
            raise ValueError("choose points by exactly one of `points` and `filter`")
        return self


class SetPayload(Chosen):
    """Payload for chosen points."""

    payload: Payload


class DeletePayload(Chosen):
    """Payload fields to take from chosen points."""

    keys: list[str] = Field(min_length=1)


class Include(Wire):
    """Only these payload fields."""

    include: list[str]


class Exclude(Wire):
    """All payload fields but these."""

    exclude: list[str]


WithPayload = bool | list[str] | Include | Exclude
WithVector = bool | list[str]


class Retrieve(Wire):
    """Points by id."""

    ids: list[PointId]
    with_payload: WithPayload | None = None
    with_vector: WithVector | None = None


class Count(Wire):
    """How many points pass; always exact."""

    filter: Filter | None = None
    exact: bool | None = None


class Scroll(Wire):
    """A page of points in the order of their ids."""

    offset: PointId | None = None
    limit: Limit | None = None
    filter: Filter | None = None
    with_payload: WithPayload | None = None
    with_vector: WithVector | None = None


class Params(Wire):
    """How hard to look."""

    hnsw_ef: int | None = Field(None, ge=1)
    exact: bool | None = None
    indexed_only: bool | None = None


@dataclass(frozen=True, slots=True)
class Nearest:
    """What to be near to: a vector, or the vector of a stored point (which is then no answer)."""

    vector: Array | None = None
    point_id: int | str | None = None


def as_nearest(value: object) -> Nearest:
    """The `query` of a request: a vector, a point id, or either of them as `{"nearest": …}`."""
    if isinstance(value, Nearest):
        return value
    if isinstance(value, dict) and value.keys() == {"nearest"}:
        value = value["nearest"]
    if isinstance(value, list):
        return Nearest(vector=as_vector(value))
    if isinstance(value, int | str) and not isinstance(value, bool):
        return Nearest(point_id=_POINT_ID.validate_python(value, strict=True))
    raise ValueError("a query is a vector, a multivector or a point id; nothing else is supported")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Query = Annotated[Nearest, PlainValidator(as_nearest)]
Prefetches = Annotated[list["Prefetch"], BeforeValidator(_as_list)]


class Prefetch(Wire):
    """A stage that finds the points which the next stage ranks again."""

    prefetch: Prefetches | None = None
    query: Query
    using: str
    filter: Filter | None = None
    params: Params | None = None
    score_threshold: float | None = None
    limit: Limit | None = None


class Ranking(Prefetch):
    """What a question and a question by groups have in common."""

    with_payload: WithPayload | None = None
    with_vector: WithVector | None = None


class Question(Ranking):
    """The nearest points."""

    offset: int | None = Field(None, ge=0)


class Questions(Wire):
    """Several questions at once."""

    searches: list[Question]


class GroupQuestion(Ranking):
    """The nearest points, a few of each value of a payload field; `limit` counts the groups."""

    group_by: str
    group_size: Annotated[int, Field(ge=1, le=1000)] | None = None


Prefetch.model_rebuild()
