"""Series, their frames and their vectors: frozen values, no vendor."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Kind = Literal["image", "report"]
Extent = Literal["series", "part", "sent"]
"""What vectors stand for: all of a series, some of its frames, or what was sent, which may be either."""

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

    `sequence` and `plane` are words of ours, empty where they are not known: what kind of acquisition of
    its modality the series is ("T1", "T2", "FLAIR", "DWI" …, of CT "CONTRAST" …) and how it lies ("AXIAL",
    "CORONAL", "SAGITTAL"; of a projection "FRONTAL", "LATERAL" …). `kind` tells a report's vector from
    those of images.
    """

    modality: str = ""
    body_part_examined: str = ""
    study_date: date | None = None
    patient: str | None = None
    sequence: str = ""
    plane: str = ""
    kind: Kind = "image"


@dataclass(frozen=True, slots=True)
class SeriesEmbedding:
    """The vectors of one series, with what they stand for.

    `vector` is float32 (d,), unit length: the pooled vector. `frame_vectors` is float32 (n, d), unit
    rows, aligned with `frames`, in the order of the series. `extent` is what an example stands for; what
    is indexed stands for its series. `fingerprint` is the archive's, of the files that were embedded: empty
    of an example, and of what an earlier release stored.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    encoder: EncoderVersion
    frames: tuple[FrameReference, ...]
    vector: Vector
    frame_vectors: Vector
    extent: Extent = "series"
    fingerprint: str = ""

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
            extent="part" if len(indices) < len(self.frames) else self.extent,
        )

    def compares_whole(self, other_frames: int) -> bool:
        """Whether a pair with a series of so many frames may be held against pairs of whole series.

        One frame that was sent is a whole series beside another series of one frame (a projection); beside
        a stack it is most likely a slice.
        """
        if self.extent == "sent":
            return len(self.frames) > 1 or other_frames == 1
        return self.extent == "series"


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """One series that is indexed, without its vectors: what it is, and which of its frames they stand for.

    `frames` are in the order of the series; `fingerprint` is that of `SeriesEmbedding`.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    frames: tuple[FrameReference, ...]
    fingerprint: str = ""


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
