"""References, embeddings, examples, candidates and matches: frozen values, no vendor."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

_POINT_NAMESPACE: Final = uuid.UUID("5b0f6f0e-6a1c-5f5e-9a9b-2c1f5d1f7c11")


def point_id_of(archive_id: str) -> str:
    """UUIDv5 of the archive id: what the vector index calls a series."""
    return str(uuid.uuid5(_POINT_NAMESPACE, archive_id))


@dataclass(frozen=True, slots=True)
class EncoderVersion:
    """Which model made a vector; vectors of two versions are never compared."""

    name: str
    sha256: str
    dimension: int

    def __str__(self) -> str:
        """`name@12 hex digits`, as the ledger keeps it."""
        return f"{self.name}@{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class FrameReference:
    """One frame of one instance; `frame_number` is 1-based."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int


@dataclass(frozen=True, slots=True)
class SeriesReference:
    """One series.

    `archive_id` is the archive's own name for it: Orthanc's identifier, or "study/series" UIDs in a
    folder. Two patients may carry the same series UID by mistake; they never carry the same archive id.
    """

    study_instance_uid: str
    series_instance_uid: str
    archive_id: str

    @property
    def point_id(self) -> str:
        """UUIDv5 of the archive id: storing the same series twice is storing it once."""
        return point_id_of(self.archive_id)


@dataclass(frozen=True, slots=True)
class SeriesAttributes:
    """What a question may filter on. No name, no id, no free text.

    `patient` is a keyed hash of issuer and PatientID, with the name of the key before it; None when the
    id is blank or a placeholder, and None is never the same patient as anybody.
    """

    modality: str = ""
    body_part_examined: str = ""
    study_date: date | None = None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesEmbedding:
    """The vectors of one series, with what they stand for.

    `vector` is float32 (d,), unit length: the pooled vector. `frame_vectors` is float32 (n, d), unit
    rows, aligned with `frames`, in the order of the series.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    encoder: EncoderVersion
    frames: tuple[FrameReference, ...]
    vector: Vector
    frame_vectors: Vector

    def narrowed(self, indices: Sequence[int]) -> SeriesEmbedding:
        """The same series, standing for some of its frames only (0-based); pooled again."""
        frame_vectors = self.frame_vectors[list(indices)]
        return SeriesEmbedding(
            reference=self.reference,
            attributes=self.attributes,
            encoder=self.encoder,
            frames=tuple(self.frames[i] for i in indices),
            vector=pooled(frame_vectors),
            frame_vectors=frame_vectors,
        )


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """One series that is indexed, without its vectors: what it is, and which of its frames they stand for.

    `frames` are in the order of the series.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    frames: tuple[FrameReference, ...]


def pooled(frame_vectors: Vector) -> Vector:
    """Mean of unit rows, brought back to unit length.

    Args:
        frame_vectors: float32 (n, d), n >= 1.

    Returns:
        float32 (d,). Opposite rows that cancel out leave the first row instead of a zero vector.
    """
    mean = frame_vectors.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm < 1e-6:
        mean, norm = frame_vectors[0], float(np.linalg.norm(frame_vectors[0]))
    return np.asarray(mean / norm, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a match must be; empty means anything. Dates are inclusive."""

    modality: tuple[str, ...] = ()
    body_part_examined: tuple[str, ...] = ()
    study_date_from: date | None = None
    study_date_to: date | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where candidates may come from, for one question.

    `not_study` and `not_patient` leave out the example's own study and patient; `only_studies`, when
    given, narrows the search to those studies. With `not_patient`, a patient that was hashed with
    another key is left out as well: nobody can tell whether it is the same one.
    """

    filters: Filters = field(default_factory=Filters)
    not_study: str | None = None
    not_patient: str | None = None
    only_studies: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A near series. `score` is MaxSim over the example's frames divided by their count, in [-1, 1]."""

    reference: SeriesReference
    attributes: SeriesAttributes
    score: float


@dataclass(frozen=True, slots=True)
class Match:
    """A prior study that is shown: its best series, instance and frame.

    `rank` is 1-based. `score` is in [-1, 1], larger is nearer. `answers` is the example's series that
    this match answers best, `frame` the frame of the match that is nearest to `example_frame`, and
    `encoder` the one that compared these two.
    """

    rank: int
    score: float
    reference: SeriesReference
    attributes: SeriesAttributes
    frame: FrameReference
    answers: SeriesReference
    example_frame: FrameReference
    encoder: EncoderVersion


@dataclass(frozen=True, slots=True)
class Answer:
    """The matches of one question, in rank order.

    `encoder` is the one that compared the best match; each match names its own.
    """

    example: tuple[SeriesEmbedding, ...]
    encoder: EncoderVersion
    matches: tuple[Match, ...]
    took_ms: float
