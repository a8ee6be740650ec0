"""Where the embeddings are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from indexer.domain import (
    Candidate,
    EncoderVersion,
    Filters,
    IndexedSeries,
    Scope,
    SeriesEmbedding,
    Vector,
)


class VectorIndex(Protocol):
    """Where the embeddings are. Every call raises VectorIndexUnavailable when it does not answer."""

    def prepare(self, encoder: EncoderVersion) -> None:
        """Make the place for this encoder's vectors unless it is there; idempotent."""
        ...

    def activate(self, encoder: EncoderVersion) -> None:
        """Tell those who look from outside that this encoder's vectors are the ones that are searched."""
        ...

    def drop(self, encoder: EncoderVersion) -> None:
        """Delete this encoder's vectors with their place; none is no error."""
        ...

    def upsert(self, embeddings: Sequence[SeriesEmbedding]) -> None:
        """Store; the same series twice is stored once.

        Raises Rejected for a vector that is not finite, is zero, or has another dimension.
        """
        ...

    def delete(self, encoder: EncoderVersion, archive_ids: Iterable[str]) -> None:
        """Take series out; one that is not there is no error."""
        ...

    def forget(self, archive_ids: Iterable[str]) -> None:
        """Take series out of every encoder's vectors: the archive no longer holds them."""
        ...

    def embeddings_of(
        self,
        encoder: EncoderVersion,
        *,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> tuple[SeriesEmbedding, ...]:
        """The stored embeddings of a study, of a series, or of the series holding an instance."""
        ...

    def nearest(
        self, encoder: EncoderVersion, vector: Vector, frame_vectors: Vector, *, limit: int, scope: Scope
    ) -> tuple[Candidate, ...]:
        """The best series of each of the `limit` nearest studies, best first.

        Found by the pooled `vector` (d,), ranked by MaxSim of `frame_vectors` (n, d) divided by n.
        Equal scores are ordered by study UID, so that two equal questions have equal answers.
        """
        ...

    def embeddings_by_id(
        self, encoder: EncoderVersion, archive_ids: Sequence[str]
    ) -> Mapping[str, SeriesEmbedding]:
        """The stored embeddings of these series, by archive id; unknown ones are left out."""
        ...

    def indexed(self, encoder: EncoderVersion, archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        """What is stored of these series but the vectors, by archive id; unknown ones are left out.

        Vectors are most of a series: ask for them only to compare them.
        """
        ...

    def archive_ids(self, encoder: EncoderVersion) -> Iterator[str]:
        """Every indexed series, in no order."""
        ...

    def fingerprints(self, encoder: EncoderVersion) -> Iterator[tuple[str, str]]:
        """The archive id of every indexed series with the fingerprint of its embedding, in no order."""
        ...

    def sample(
        self, encoder: EncoderVersion, filters: Filters, *, limit: int, seed: int
    ) -> tuple[SeriesEmbedding, ...]:
        """Up to `limit` stored image series that pass the filters, drawn at random.

        The same seed draws the same while nothing changes.
        """
        ...

    def hashed_otherwise(self, encoder: EncoderVersion, key_name: str) -> Iterator[str]:
        """The archive ids of the series whose patient another key than this one has hashed, in no order."""
        ...
