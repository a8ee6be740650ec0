"""One collection: an Edge shard, how it was asked to be, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from engine.errors import BadRequest, NotFound
from engine.filters import edge_filter
from engine.groups import Grouping
from engine.protocol import (
    Chosen,
    Count,
    CreateCollection,
    CreateIndex,
    DeletePayload,
    GroupQuestion,
    Hnsw,
    NewPoint,
    Question,
    Retrieve,
    Scroll,
    SetPayload,
    VectorParams,
)
from engine.queries import DEFAULT_LIMIT, QueryBuilder, check_vector, with_payload, with_vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.wire import Array

SCHEMAS = {
    "keyword": edge.PayloadSchemaType.Keyword,
    "integer": edge.PayloadSchemaType.Integer,
    "float": edge.PayloadSchemaType.Float,
    "bool": edge.PayloadSchemaType.Bool,
    "datetime": edge.PayloadSchemaType.Datetime,
    "uuid": edge.PayloadSchemaType.Uuid,
}
DISTANCES = {
    "Cosine": edge.Distance.Cosine,
    "Dot": edge.Distance.Dot,
    "Euclid": edge.Distance.Euclid,
}
DATATYPES = {
    "float32": edge.VectorStorageDatatype.Float32,
    "float16": edge.VectorStorageDatatype.Float16,
}

REQUEST_AT_FAULT = ("Not existing vector name", "Vector dimension", "Validation failed", "Wrong usage")


class Shard:
    """Everything here runs on the engine's one thread."""

    def __init__(self, shard: edge.EdgeShard, config: CreateCollection) -> None:
        self._shard = shard
        self.config = config
        self._queries = QueryBuilder(config.vectors, self._stored_vector)
        self._dirty = False

    @classmethod
    def create(cls, folder: Path, config: CreateCollection) -> Shard:
        """Make the files of a new collection."""
        return cls(edge.EdgeShard.create(str(folder), _edge_config(config)), config)

    @classmethod
    def load(cls, folder: Path, config: CreateCollection) -> Shard:
        """Open a collection; replays its write-ahead log."""
        return cls(edge.EdgeShard.load(str(folder)), config)

    def close(self) -> None:
        """Write out everything and let go of the files."""
        self._shard.flush()
        self._shard.close()

    def flush(self) -> None:
        """Write out what only the write-ahead log has; nothing to do when nothing was written."""
        if self._dirty:
            self._shard.flush()
            self._dirty = False

    def info(self) -> dict[str, Any]:
        """Counts and payload indexes, in the words of the protocol."""
        info = self._shard.info()
        names = {str(kind): name for name, kind in SCHEMAS.items()}
        return {
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "payload_schema": {
                field: {"data_type": names[str(index.data_type)], "points": index.points}
                for field, index in sorted(info.payload_schema.items())
            },
        }

    def create_index(self, asked: CreateIndex) -> None:
        """Index a payload field; again is no error."""
        self._update(edge.UpdateOperation.create_field_index(asked.field_name, SCHEMAS[asked.field_schema]))

    def delete_index(self, field: str) -> None:
        """Stop indexing a payload field; one that is not indexed is no error."""
        self._update(edge.UpdateOperation.delete_field_index(field))

    def checked_points(self, points: Sequence[NewPoint]) -> list[edge.Point]:
        """The points as Edge takes them. Raises BadRequest before anything is written."""
        for point in points:
            for name, vector in point.vector.items():
                check_vector(self.config.vectors, name, vector)
        with _arguments():
            return [
                edge.Point(p.id, {name: self._rows(name, v) for name, v in p.vector.items()}, p.payload)  # type: ignore[misc]
                for p in points
            ]

    def upsert(self, points: list[edge.Point]) -> None:
        """Store; when this returns the write-ahead log has them."""
        self._update(edge.UpdateOperation.upsert_points(points))

    def delete(self, chosen: Chosen) -> None:
        """Take points out; one that is not there is no error."""
        if chosen.points is not None:
            self._update(edge.UpdateOperation.delete_points(list(chosen.points)))
        else:
            self._update(edge.UpdateOperation.delete_points_by_filter(_chosen_filter(chosen)))

    def set_payload(self, asked: SetPayload, *, overwrite: bool) -> None:
        """Add payload fields to points, or put them in the place of what is there."""
        operation = edge.UpdateOperation
        with _arguments():
            if asked.points is not None:
                by_id = operation.overwrite_payload if overwrite else operation.set_payload
                update = by_id(list(asked.points), asked.payload)
            else:
                by_filter = (
                    operation.overwrite_payload_by_filter if overwrite else operation.set_payload_by_filter
                )
                update = by_filter(_chosen_filter(asked), asked.payload)
        self._update(update)

    def delete_payload(self, asked: DeletePayload) -> None:
        """Take payload fields from points."""
        with _arguments():
            if asked.points is not None:
                update = edge.UpdateOperation.delete_payload(list(asked.points), asked.keys)
            else:
                update = edge.UpdateOperation.delete_payload_by_filter(_chosen_filter(asked), asked.keys)
        self._update(update)

    def retrieve(self, asked: Retrieve) -> list[dict[str, Any]]:
        """Points by id; unknown ones are left out."""
        with _arguments():
            found = self._shard.retrieve(
                list(asked.ids),
                with_payload(asked.with_payload, default=True),
                with_vector(self.config.vectors, asked.with_vector),
            )
        return [_record(point) for point in found]

    def point(self, point_id: int | str) -> dict[str, Any]:
        """One point with its payload and vectors. Raises NotFound."""
        found = self.retrieve(Retrieve(ids=[point_id], with_payload=True, with_vector=True))
        if not found:
            raise NotFound(f"Not found: Point with id {point_id} does not exists!")
        return found[0]

    def count(self, asked: Count) -> int:
        """How many points pass the filter, exactly."""
        with _arguments():
            return self._shard.count(edge.CountRequest(exact=True, filter=edge_filter(asked.filter)))

    def scroll(self, asked: Scroll) -> tuple[list[dict[str, Any]], int | str | None]:
        """A page of points in the order of their ids, and the id at which the next page starts."""
        with _arguments():
            points, following = self._shard.scroll(
                edge.ScrollRequest(
                    offset=asked.offset,
                    limit=asked.limit or DEFAULT_LIMIT,
                    filter=edge_filter(asked.filter),
                    with_payload=with_payload(asked.with_payload, default=True),
                    with_vector=with_vector(self.config.vectors, asked.with_vector),
                )
            )
        return [_record(point) for point in points], None if following is None else _id(following)

    def query(self, question: Question) -> list[dict[str, Any]]:
        """The nearest points, best first."""
        with _arguments():
            found = self._shard.query(self._queries.request(question))
        return [_record(p) | {"score": p.score, "version": p.version} for p in found]

    def query_groups(self, asked: GroupQuestion) -> list[dict[str, Any]]:
        """The nearest points of each value of a payload field, best group first."""
        groups = Grouping(asked, self.query).groups()
        ids = list(dict.fromkeys(hit["id"] for group in groups for hit in group.hits))
        full = self.retrieve(
            Retrieve(ids=ids, with_payload=asked.with_payload or False, with_vector=asked.with_vector)
        )
        by_id = {point["id"]: point for point in full}
        return [{"id": group.key, "hits": [hit | by_id[hit["id"]] for hit in group.hits]} for group in groups]

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._dirty = True
        with _arguments():
            self._shard.update(operation)

    def _rows(self, name: str, vector: Array) -> Array:
        """A single vector stands for a multivector of one row."""
        return np.atleast_2d(vector) if self.config.vectors[name].multivector_config else vector

    def _stored_vector(self, point_id: int | str, name: str) -> Array:
        if name not in self.config.vectors:
            raise BadRequest(f"Wrong input: Not existing vector name error: {name}")
        found = self._shard.retrieve([point_id], False, [name])
        if not found:
            raise NotFound(f"Not found: No point with id {point_id} found")
        vectors = found[0].vector
        if not isinstance(vectors, dict) or name not in vectors:
            raise NotFound(f"Not found: Point {point_id} has no vector {name}")
        return np.asarray(vectors[name], dtype=np.float32)


@contextmanager
def _arguments() -> Iterator[None]:
    """Edge raises ValueError and TypeError for arguments, and a bare Exception for what it finds later."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise BadRequest(f"Wrong input: {str(error).splitlines()[0]}") from error
    except Exception as error:
        text = str(error)
        if "No point with id" in text:
            raise NotFound(f"Not found: {text}") from error
        if text.startswith(REQUEST_AT_FAULT):
            raise BadRequest(f"Wrong input: {text}") from error
        raise


def _chosen_filter(chosen: Chosen) -> edge.Filter:
    wanted = edge_filter(chosen.filter)
    if wanted is None:
        raise BadRequest("Wrong input: no filter is given")
    return wanted


def _id(point_id: int | UUID | str) -> int | str:
    return point_id if isinstance(point_id, int) else str(point_id)


def _record(point: edge.Record | edge.ScoredPoint) -> dict[str, Any]:
    record: dict[str, Any] = {"id": _id(point.id), "payload": point.payload}
    if point.vector is not None:
        record["vector"] = point.vector
    return record


def _edge_config(config: CreateCollection) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={name: _edge_vector(params, config.hnsw_config) for name, params in config.vectors.items()},
        on_disk_payload=True if config.on_disk_payload is None else config.on_disk_payload,
    )


def _edge_vector(params: VectorParams, collection: Hnsw | None) -> edge.EdgeVectorParams:
    return edge.EdgeVectorParams(
        size=params.size,
        distance=DISTANCES[params.distance],
        on_disk=params.on_disk,
        multivector_config=(
            edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if params.multivector_config else None
        ),
        datatype=DATATYPES[params.datatype] if params.datatype else None,
        hnsw_config=_edge_hnsw(params.hnsw_config, collection),
    )


def hnsw_of(*given: Hnsw | None) -> dict[str, Any]:
    """Qdrant's defaults, overridden by each in turn."""
    merged: dict[str, Any] = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
    for hnsw in given:
        merged |= hnsw.model_dump(exclude_none=True) if hnsw else {}
    return merged


def _edge_hnsw(own: Hnsw | None, collection: Hnsw | None) -> edge.HnswIndexConfig:
    return edge.HnswIndexConfig(**hnsw_of(collection, own))
