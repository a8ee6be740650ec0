"""A series embedding as a point, and back. A point holds no name, no patient id and no free text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from qdrant_client import models

from indexer.domain import (
    Candidate,
    EncoderVersion,
    FrameReference,
    IndexedSeries,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from indexer.errors import Rejected
from indexer.patients import key_name_of

POOLED = "pooled"
FRAMES = "frames"
FINGERPRINT = "fingerprint"
UNASKED = ["frames", "sop_instance_uids", FINGERPRINT]
"""What a candidate does without."""
NOBODY = "-"
"""The `patient_key` of a series without a known patient, whom every key leaves alone."""
DECIMALS = 7
"""Digits that go over the wire: an error below 1e-6 in a score, in half the bytes."""


def checked(vectors: Vector, dimension: int) -> Vector:
    """Unit rows, float32, of the shape given. Raises Rejected for what has no direction."""
    rows = np.atleast_2d(vectors)
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != dimension:
        raise Rejected(
            f"A vector of shape {vectors.shape} is not of the encoder's dimension {dimension}.",
            reason="vector_refused",
        )
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise Rejected("A vector is zero, or holds a number that is not finite.", reason="vector_refused")
    return np.asarray((rows / norms).reshape(vectors.shape), dtype=np.float32)


def sent(vectors: Vector) -> list[Any]:
    """Unit vectors as they go over the wire."""
    return np.round(vectors.astype(np.float64), DECIMALS).tolist()  # type: ignore[no-any-return]


def point_of(embedding: SeriesEmbedding) -> models.PointStruct:
    """The point that stands for a series. Raises Rejected."""
    dimension = embedding.encoder.dimension
    if len(embedding.frames) != len(embedding.frame_vectors):
        raise Rejected(
            f"{len(embedding.frames)} frames have {len(embedding.frame_vectors)} vectors: embed them again.",
            reason="vector_refused",
        )
    pooled, frames = checked(embedding.vector, dimension), checked(embedding.frame_vectors, dimension)
    return models.PointStruct(
        id=embedding.reference.point_id,
        vector={POOLED: sent(pooled), FRAMES: sent(frames)},
        payload=payload_of(embedding),
    )


def payload_of(embedding: SeriesEmbedding) -> dict[str, Any]:
    """What is kept beside the vectors: UIDs, attributes, frames, a hash; no name, no id, no free text."""
    reference, attributes = embedding.reference, embedding.attributes
    payload: dict[str, Any] = {
        "study_instance_uid": reference.study_instance_uid,
        "series_instance_uid": reference.series_instance_uid,
        "archive_id": reference.archive_id,
        "modality": attributes.modality,
        "body_part_examined": attributes.body_part_examined,
        "sequence": attributes.sequence,
        "plane": attributes.plane,
        "kind": attributes.kind,
        "sop_instance_uids": list(dict.fromkeys(frame.sop_instance_uid for frame in embedding.frames)),
        "frames": [
            [frame.sop_class_uid, frame.sop_instance_uid, frame.frame_number] for frame in embedding.frames
        ],
    }
    if attributes.study_date is not None:
        payload["study_date"] = day_number(attributes.study_date)
    if attributes.patient is not None:
        payload["patient"] = attributes.patient
    if embedding.fingerprint:
        payload[FINGERPRINT] = embedding.fingerprint
    payload["patient_key"] = NOBODY if attributes.patient is None else key_name_of(attributes.patient)
    return payload


def embedding_of(point: models.Record, encoder: EncoderVersion) -> SeriesEmbedding:
    """The series that a point stands for; float16 rows are brought back to unit length."""
    payload, vectors = point.payload or {}, point.vector
    assert isinstance(vectors, dict)  # noqa: S101 - both vectors are named
    return SeriesEmbedding(
        reference=_reference(payload),
        attributes=_attributes(payload),
        encoder=encoder,
        frames=_frames(payload),
        vector=checked(np.asarray(vectors[POOLED], dtype=np.float32), encoder.dimension),
        frame_vectors=checked(np.asarray(vectors[FRAMES], dtype=np.float32), encoder.dimension),
        fingerprint=_fingerprint(payload),
    )


def indexed_of(point: models.Record) -> IndexedSeries:
    """The series that a point stands for, of which only the payload is there."""
    payload = point.payload or {}
    return IndexedSeries(_reference(payload), _attributes(payload), _frames(payload), _fingerprint(payload))


def candidate_of(payload: Mapping[str, Any], max_sim: float, frame_count: int) -> Candidate:
    """A near series; `max_sim` is the sum over the example's frames."""
    return Candidate(
        reference=_reference(payload),
        attributes=_attributes(payload),
        score=min(1.0, max(-1.0, max_sim / frame_count)),
    )


def day_number(day: date) -> int:
    """A date as yyyymmdd: ordered like dates, and an integer to Qdrant."""
    return day.year * 10_000 + day.month * 100 + day.day


def _day(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)


def _frames(payload: Mapping[str, Any]) -> tuple[FrameReference, ...]:
    return tuple(FrameReference(*frame) for frame in payload["frames"])


def _fingerprint(payload: Mapping[str, Any]) -> str:
    """A point of an earlier release has none."""
    return str(payload.get(FINGERPRINT, ""))


def _reference(payload: Mapping[str, Any]) -> SeriesReference:
    return SeriesReference(
        study_instance_uid=payload["study_instance_uid"],
        series_instance_uid=payload["series_instance_uid"],
        archive_id=payload["archive_id"],
    )


def _attributes(payload: Mapping[str, Any]) -> SeriesAttributes:
    day = payload.get("study_date")
    return SeriesAttributes(
        modality=payload["modality"],
        body_part_examined=payload["body_part_examined"],
        study_date=None if day is None else _day(day),
        patient=payload.get("patient"),
        sequence=payload.get("sequence", ""),
        plane=payload.get("plane", ""),
        kind=payload.get("kind", "image"),
    )
