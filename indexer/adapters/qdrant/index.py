"""The vector index, a collection for each version of an encoder."""

from __future__ import annotations

import logging
import random
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from indexer.adapters.qdrant.connection import connect, is_conflict, our_errors
from indexer.adapters.qdrant.nearest import NearestStudies
from indexer.adapters.qdrant.points import (
    FINGERPRINT,
    FRAMES,
    POOLED,
    checked,
    embedding_of,
    indexed_of,
    point_of,
)
from indexer.adapters.qdrant.scope import filter_of, hashed_with, is_value
from indexer.domain import (
    Candidate,
    EncoderVersion,
    Filters,
    IndexedSeries,
    Scope,
    SeriesEmbedding,
    Vector,
    point_id_of,
)
from indexer.errors import Rejected

logger = logging.getLogger(__name__)

ALIAS = "cbir"
COLLECTION_PREFIX = "series-"
INDEXES = {
    "study_instance_uid": models.PayloadSchemaType.KEYWORD,
    "series_instance_uid": models.PayloadSchemaType.KEYWORD,
    "sop_instance_uids": models.PayloadSchemaType.KEYWORD,
    "archive_id": models.PayloadSchemaType.KEYWORD,
    "modality": models.PayloadSchemaType.KEYWORD,
    "body_part_examined": models.PayloadSchemaType.KEYWORD,
    "patient": models.PayloadSchemaType.KEYWORD,
    "patient_key": models.PayloadSchemaType.KEYWORD,
    "sequence": models.PayloadSchemaType.KEYWORD,
    "plane": models.PayloadSchemaType.KEYWORD,
    "kind": models.PayloadSchemaType.KEYWORD,
    "study_date": models.PayloadSchemaType.INTEGER,
}
MAX_FLOATS_A_REQUEST = 1_500_000
"""About 16 MB of JSON; a server takes 32."""
EMBEDDINGS_A_PAGE = 16
IDS_A_PAGE = 1000


def collection_of(encoder: EncoderVersion) -> str:
    """The name of an encoder version's collection."""
    return f"{COLLECTION_PREFIX}{re.sub(r'[^A-Za-z0-9_.-]', '_', encoder.name)}-{encoder.sha256[:12]}"


class QdrantIndex:
    """Implements `indexer.ports.VectorIndex`; one serves every thread."""

    def __init__(self, url: str, api_key: str = "", timeout_s: float = 60.0) -> None:
        self._client = connect(url, api_key, timeout_s)

    @classmethod
    def over(cls, client: QdrantClient) -> QdrantIndex:
        """The same on a client that is there already."""
        index = cls.__new__(cls)
        index._client = client
        return index

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def prepare(self, encoder: EncoderVersion) -> None:
        """Make the collection and what it lacks of payload indexes, before anything is loaded."""
        collection = collection_of(encoder)
        with our_errors():
            if not self._client.collection_exists(collection):
                self._create(collection, encoder.dimension)
            present = self._client.get_collection(collection).payload_schema
            for field, schema in INDEXES.items():
                if field not in present:
                    self._client.create_payload_index(collection, field, schema, wait=True)
            if not self._is_alias_there():
                self.activate(encoder)

    def activate(self, encoder: EncoderVersion) -> None:
        """Point the alias at this encoder's collection, in one step."""
        made = models.CreateAlias(collection_name=collection_of(encoder), alias_name=ALIAS)
        actions: list[models.CreateAliasOperation | models.DeleteAliasOperation] = [
            models.CreateAliasOperation(create_alias=made)
        ]
        with our_errors():
            if self._is_alias_there():
                taken = models.DeleteAlias(alias_name=ALIAS)
                actions.insert(0, models.DeleteAliasOperation(delete_alias=taken))
            self._client.update_collection_aliases(actions)
        logger.info("encoder_activated encoder=%s", encoder)

    def drop(self, encoder: EncoderVersion) -> None:
        """Delete this encoder's collection; none is no error."""
        with our_errors():
            self._client.delete_collection(collection_of(encoder))
        logger.info("encoder_dropped encoder=%s", encoder)

    def upsert(self, embeddings: Sequence[SeriesEmbedding]) -> None:
        """Store; acknowledged by the write-ahead log when this returns."""
        points: dict[str, list[tuple[models.PointStruct, int]]] = {}
        for embedding in embeddings:
            sized = point_of(embedding), embedding.frame_vectors.size
            points.setdefault(collection_of(embedding.encoder), []).append(sized)
        with our_errors():
            for collection, of_one_encoder in points.items():
                for batch in _batches(of_one_encoder):
                    self._client.upsert(collection, batch, wait=True)

    def delete(self, encoder: EncoderVersion, archive_ids: Iterable[str]) -> None:
        """Take series out; one that is not there is no error."""
        ids = map(point_id_of, archive_ids)
        while page := list(islice(ids, IDS_A_PAGE)):
            with our_errors():
                self._client.delete(collection_of(encoder), models.PointIdsList(points=[*page]), wait=True)

    def forget(self, archive_ids: Iterable[str]) -> None:
        """Take series out of every encoder's vectors: the archive no longer holds them."""
        ids = [point_id_of(archive_id) for archive_id in archive_ids]
        with our_errors():
            names = [found.name for found in self._client.get_collections().collections]
            for name in names:
                if name.startswith(COLLECTION_PREFIX):
                    self._client.delete(name, models.PointIdsList(points=[*ids]), wait=True)

    def embeddings_of(
        self,
        encoder: EncoderVersion,
        *,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> tuple[SeriesEmbedding, ...]:
        """The stored embeddings of a study, of a series, or of the series holding an instance."""
        named = {
            "study_instance_uid": study_instance_uid,
            "series_instance_uid": series_instance_uid,
            "sop_instance_uids": sop_instance_uid,
        }
        wanted = [is_value(key, uid) for key, uid in named.items() if uid is not None]
        if not wanted:
            raise Rejected("Name a study, a series or an instance.")
        chosen = models.Filter(must=[*wanted])
        points = self._scroll(encoder, EMBEDDINGS_A_PAGE, wanted=chosen, with_vectors=True)
        return tuple(embedding_of(point, encoder) for point in points)

    def nearest(
        self, encoder: EncoderVersion, vector: Vector, frame_vectors: Vector, *, limit: int, scope: Scope
    ) -> tuple[Candidate, ...]:
        """The best series of each of the `limit` nearest studies, best first."""
        pooled, frames = checked(vector, encoder.dimension), checked(frame_vectors, encoder.dimension)
        if scope.only_studies is not None and not scope.only_studies:
            return ()
        with our_errors():
            return NearestStudies(self._client, collection_of(encoder), pooled, frames, scope).find(limit)

    def embeddings_by_id(
        self, encoder: EncoderVersion, archive_ids: Sequence[str]
    ) -> Mapping[str, SeriesEmbedding]:
        """The stored embeddings of these series, by archive id; unknown ones are left out."""
        found: dict[str, SeriesEmbedding] = {}
        ids = map(point_id_of, dict.fromkeys(archive_ids))
        while page := list(islice(ids, EMBEDDINGS_A_PAGE)):
            with our_errors():
                points = self._client.retrieve(collection_of(encoder), page, with_vectors=True)
            embeddings = [embedding_of(point, encoder) for point in points]
            found |= {embedding.reference.archive_id: embedding for embedding in embeddings}
        return found

    def indexed(self, encoder: EncoderVersion, archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        """What is stored of these series but the vectors, by archive id; unknown ones are left out."""
        found: dict[str, IndexedSeries] = {}
        ids = map(point_id_of, dict.fromkeys(archive_ids))
        while page := list(islice(ids, IDS_A_PAGE)):
            with our_errors():
                points = self._client.retrieve(collection_of(encoder), page, with_vectors=False)
            found |= {series.reference.archive_id: series for series in map(indexed_of, points)}
        return found

    def archive_ids(self, encoder: EncoderVersion) -> Iterator[str]:
        """Every indexed series, in no order."""
        for point in self._scroll(encoder, IDS_A_PAGE, with_payload=["archive_id"]):
            yield (point.payload or {})["archive_id"]

    def fingerprints(self, encoder: EncoderVersion) -> Iterator[tuple[str, str]]:
        """Every indexed series with the fingerprint of what was embedded; empty of an earlier release."""
        for point in self._scroll(encoder, IDS_A_PAGE, with_payload=["archive_id", FINGERPRINT]):
            payload = point.payload or {}
            yield payload["archive_id"], payload.get(FINGERPRINT, "")

    def sample(
        self, encoder: EncoderVersion, filters: Filters, *, limit: int, seed: int
    ) -> tuple[SeriesEmbedding, ...]:
        """Up to `limit` stored image series that pass the filters, drawn at random.

        Points are in the order of their ids, which are hashes: those that follow a random id, and at the
        end those from the first id on, are a random sample.
        """
        begin = str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=5))  # noqa: S311 - no secret
        wanted = filter_of(Scope(filters=filters))
        found: dict[str, SeriesEmbedding] = {}
        for first in (begin, None):
            points = self._scroll(encoder, EMBEDDINGS_A_PAGE, wanted=wanted, with_vectors=True, offset=first)
            for point in points:
                if len(found) == limit or str(point.id) in found:
                    break
                found[str(point.id)] = embedding_of(point, encoder)
        return tuple(found.values())

    def hashed_otherwise(self, encoder: EncoderVersion, key_name: str) -> Iterator[str]:
        """The series whose patient another key than this one has hashed."""
        otherwise = models.Filter(must_not=[hashed_with(key_name)])
        for point in self._scroll(encoder, IDS_A_PAGE, wanted=otherwise, with_payload=["archive_id"]):
            yield (point.payload or {})["archive_id"]

    def _is_alias_there(self) -> bool:
        return any(alias.alias_name == ALIAS for alias in self._client.get_aliases().aliases)

    def _create(self, collection: str, dimension: int) -> None:
        try:
            self._client.create_collection(collection, vectors_config=_vectors(dimension))
        except UnexpectedResponse as error:
            if not is_conflict(error):
                raise

    def _scroll(
        self,
        encoder: EncoderVersion,
        page_size: int,
        *,
        wanted: models.Filter | None = None,
        with_payload: bool | list[str] = True,
        with_vectors: bool = False,
        offset: models.ExtendedPointId | None = None,
    ) -> Iterator[models.Record]:
        while True:
            with our_errors():
                points, offset = self._client.scroll(
                    collection_of(encoder),
                    scroll_filter=wanted,
                    limit=page_size,
                    offset=offset,
                    with_payload=with_payload,
                    with_vectors=with_vectors,
                )
            yield from points
            if offset is None:
                return


def _vectors(dimension: int) -> dict[str, models.VectorParams]:
    """The pooled vector has a graph; the frames only rank what it found, in half the bytes."""
    return {
        POOLED: models.VectorParams(size=dimension, distance=models.Distance.COSINE),
        FRAMES: models.VectorParams(
            size=dimension,
            distance=models.Distance.COSINE,
            on_disk=True,
            datatype=models.Datatype.FLOAT16,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            hnsw_config=models.HnswConfigDiff(m=0),
        ),
    }


def _batches(points: Sequence[tuple[models.PointStruct, int]]) -> Iterator[list[models.PointStruct]]:
    """Points, each given with how many numbers it has, in requests of at most MAX_FLOATS_A_REQUEST.

    A request has at least one point.
    """
    batch: list[models.PointStruct] = []
    floats = 0
    for point, size in points:
        if batch and floats + size > MAX_FLOATS_A_REQUEST:
            yield batch
            batch, floats = [], 0
        batch.append(point)
        floats += size
    if batch:
        yield batch
