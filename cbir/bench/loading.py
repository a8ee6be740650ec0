"""Fills the folder of an engine that is stopped: through the protocol 100,000 series would take minutes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.catalogue import Catalogue
from engine.protocol import NewPoint
from indexer.adapters.qdrant import collection_of
from indexer.adapters.qdrant.points import FRAMES, POOLED, payload_of
from indexer.domain import SeriesEmbedding


def load(engine_folder: Path, chunks: Iterable[Sequence[SeriesEmbedding]]) -> None:
    """Store series in a collection that `QdrantIndex.prepare` has made; nobody else may have it open."""
    catalogue = Catalogue(engine_folder)
    try:
        for chunk in chunks:
            shard = catalogue.shard(collection_of(chunk[0].encoder))
            shard.upsert(shard.checked_points([_point(embedding) for embedding in chunk]))
            shard.flush()
    finally:
        catalogue.close()


def _point(embedding: SeriesEmbedding) -> NewPoint:
    return NewPoint.model_construct(
        id=embedding.reference.point_id,
        vector={POOLED: embedding.vector, FRAMES: embedding.frame_vectors},
        payload=payload_of(embedding),
    )
