"""A vector index in a dictionary: exact, small, and bound by the same contract as the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from indexer.domain import (
    Candidate,
    EncoderVersion,
    Filters,
    IndexedSeries,
    Scope,
    SeriesAttributes,
    SeriesEmbedding,
    Vector,
)
from indexer.errors import Rejected, VectorIndexUnavailable
from indexer.patients import key_name_of


class FakeVectorIndex:
    """Implements `indexer.ports.VectorIndex`; set `unavailable` to see what a use case does then."""

    def __init__(self) -> None:
        self.unavailable = False
        self.active: EncoderVersion | None = None
        self._stored: dict[EncoderVersion, dict[str, SeriesEmbedding]] = {}

    def prepare(self, encoder: EncoderVersion) -> None:
        self._answer()
        self._stored.setdefault(encoder, {})

    def activate(self, encoder: EncoderVersion) -> None:
        self._of(encoder)
        self.active = encoder

    def drop(self, encoder: EncoderVersion) -> None:
        self._answer()
        self._stored.pop(encoder, None)

    def upsert(self, embeddings: Sequence[SeriesEmbedding]) -> None:
        self._answer()
        for embedding in embeddings:
            _check(embedding.vector, embedding.encoder.dimension)
            _check(embedding.frame_vectors, embedding.encoder.dimension)
        for embedding in embeddings:
            self._of(embedding.encoder)[embedding.reference.archive_id] = embedding

    def delete(self, encoder: EncoderVersion, archive_ids: Iterable[str]) -> None:
        stored = self._of(encoder)
        for archive_id in archive_ids:
            stored.pop(archive_id, None)

    def forget(self, archive_ids: Iterable[str]) -> None:
        self._answer()
        gone = list(archive_ids)
        for encoder in self._stored:
            self.delete(encoder, gone)

    def embeddings_of(
        self,
        encoder: EncoderVersion,
        *,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> tuple[SeriesEmbedding, ...]:
        if study_instance_uid is None and series_instance_uid is None and sop_instance_uid is None:
            raise Rejected("Name a study, a series or an instance.")
        return tuple(
            embedding
            for embedding in self._of(encoder).values()
            if study_instance_uid in (None, embedding.reference.study_instance_uid)
            and series_instance_uid in (None, embedding.reference.series_instance_uid)
            and sop_instance_uid in (None, *(f.sop_instance_uid for f in embedding.frames))
        )

    def nearest(
        self, encoder: EncoderVersion, vector: Vector, frame_vectors: Vector, *, limit: int, scope: Scope
    ) -> tuple[Candidate, ...]:
        _check(vector, encoder.dimension)
        _check(frame_vectors, encoder.dimension)
        candidates = [
            Candidate(stored.reference, stored.attributes, max_sim(frame_vectors, stored.frame_vectors))
            for stored in self._of(encoder).values()
            if _in_scope(stored, scope)
        ]
        candidates.sort(key=_rank)
        best: dict[str, Candidate] = {}
        for candidate in candidates:
            best.setdefault(candidate.reference.study_instance_uid, candidate)
        return tuple(best.values())[:limit]

    def embeddings_by_id(
        self, encoder: EncoderVersion, archive_ids: Sequence[str]
    ) -> Mapping[str, SeriesEmbedding]:
        stored = self._of(encoder)
        return {archive_id: stored[archive_id] for archive_id in archive_ids if archive_id in stored}

    def indexed(self, encoder: EncoderVersion, archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        return {
            archive_id: IndexedSeries(stored.reference, stored.attributes, stored.frames, stored.fingerprint)
            for archive_id, stored in self.embeddings_by_id(encoder, archive_ids).items()
        }

    def archive_ids(self, encoder: EncoderVersion) -> Iterator[str]:
        return iter(tuple(self._of(encoder)))

    def fingerprints(self, encoder: EncoderVersion) -> Iterator[tuple[str, str]]:
        return iter([(archive_id, stored.fingerprint) for archive_id, stored in self._of(encoder).items()])

    def sample(
        self, encoder: EncoderVersion, filters: Filters, *, limit: int, seed: int
    ) -> tuple[SeriesEmbedding, ...]:
        passing = [
            stored
            for stored in self._of(encoder).values()
            if stored.attributes.kind == "image" and _passes(stored.attributes, filters)
        ]
        order = np.random.default_rng(seed).permutation(len(passing))[:limit]
        return tuple(passing[int(place)] for place in order)

    def hashed_otherwise(self, encoder: EncoderVersion, key_name: str) -> Iterator[str]:
        return iter([id_ for id_, s in self._of(encoder).items() if not _hashed_with(s.attributes, key_name)])

    def _answer(self) -> None:
        if self.unavailable:
            raise VectorIndexUnavailable("The vector index is switched off by the test.")

    def _of(self, encoder: EncoderVersion) -> dict[str, SeriesEmbedding]:
        self._answer()
        if encoder not in self._stored:
            raise VectorIndexUnavailable(f"There is no place yet for the vectors of {encoder}: prepare it.")
        return self._stored[encoder]


def max_sim(question: Vector, stored: Vector) -> float:
    """The mean, over the question's rows, of the best cosine with a stored row."""
    return float((_unit(question) @ _unit(stored).T).max(axis=1).mean())


def _unit(rows: Vector) -> Vector:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _rank(candidate: Candidate) -> tuple[float, str, str]:
    reference = candidate.reference
    return -round(candidate.score, 6), reference.study_instance_uid, reference.archive_id


def _check(vectors: Vector, dimension: int) -> None:
    rows = np.atleast_2d(vectors)
    if rows.shape[0] == 0 or rows.shape[1] != dimension:
        raise Rejected(f"A vector has shape {vectors.shape}; the encoder gives {dimension} numbers.")
    if not np.isfinite(rows).all() or not np.linalg.norm(rows, axis=1).all():
        raise Rejected("A vector is zero or holds a number that is not finite.")


def _in_scope(stored: SeriesEmbedding, scope: Scope) -> bool:
    study = stored.reference.study_instance_uid
    return (
        study not in (scope.not_study, *scope.not_studies)
        and (scope.not_patient is None or _is_another(stored.attributes, scope.not_patient))
        and stored.attributes.patient not in scope.not_patients
        and scope.only_patient in (None, stored.attributes.patient)
        and scope.kind == stored.attributes.kind
        and _may_be(stored.attributes.sequence, scope.sequence)
        and _may_be(stored.attributes.plane, scope.plane)
        and (scope.only_studies is None or study in scope.only_studies)
        and _passes(stored.attributes, scope.filters)
    )


def _may_be(word: str, wanted: str) -> bool:
    return not word or not wanted or word == wanted


def _is_another(attributes: SeriesAttributes, patient: str) -> bool:
    return attributes.patient != patient and _hashed_with(attributes, key_name_of(patient))


def _hashed_with(attributes: SeriesAttributes, key_name: str) -> bool:
    return attributes.patient is None or key_name_of(attributes.patient) == key_name


def _passes(attributes: SeriesAttributes, filters: Filters) -> bool:
    if filters.modality and attributes.modality not in filters.modality:
        return False
    if filters.body_part_examined and attributes.body_part_examined not in filters.body_part_examined:
        return False
    if filters.study_date_from is None and filters.study_date_to is None:
        return True
    day = attributes.study_date
    return (
        day is not None
        and (filters.study_date_from is None or filters.study_date_from <= day)
        and (filters.study_date_to is None or day <= filters.study_date_to)
    )
