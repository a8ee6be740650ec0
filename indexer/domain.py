"""References, embeddings, examples, candidates and matches: frozen values, no vendor."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Kind = Literal["image", "report"]
Extent = Literal["series", "part", "sent"]
"""What vectors stand for: all of a series, some of its frames, or what was sent, which may be either."""
Pairs = Literal["body_part", "modality", "archive"]
"""Which pairs a percentage is of: of one modality and body part, of one modality, of all the archive."""

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
class Region:
    """A rectangle on a frame: fractions of the frame's width and height, from its top left corner.

    Where it says what a question asks about, it lies inside the frame; where it says what a feature map
    covers, it may reach beyond (a frame that was letterboxed) or leave a margin out (one that was cropped).
    """

    left: float
    top: float
    width: float
    height: float


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
    is indexed stands for its series.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    encoder: EncoderVersion
    frames: tuple[FrameReference, ...]
    vector: Vector
    frame_vectors: Vector
    extent: Extent = "series"

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
    given, narrows the search to those studies, `only_patient` to the series of one patient. With
    `not_patient`, a patient that was hashed with another key is left out as well: nobody can tell whether
    it is the same one. `sequence` and `plane`, when given, leave out series that are known to be of
    another one; a series of an unknown one stays in. `kind` tells images from reports. `not_studies` and
    `not_patients` leave out the studies, and the patients, of chosen cases.
    """

    filters: Filters = field(default_factory=Filters)
    not_study: str | None = None
    not_patient: str | None = None
    only_studies: tuple[str, ...] | None = None
    only_patient: str | None = None
    sequence: str = ""
    plane: str = ""
    kind: Kind = "image"
    not_studies: tuple[str, ...] = ()
    not_patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A near series. `score` is MaxSim over the example's frames divided by their count, in [-1, 1]."""

    reference: SeriesReference
    attributes: SeriesAttributes
    score: float


@dataclass(frozen=True, slots=True)
class SequenceMatch:
    """A series of the example and the series of a prior study that answers it.

    `score` is their late-interaction score in [-1, 1]. `is_like` says that both are of the same modality,
    sequence and plane, as far as these are known; otherwise the study has no such series.
    """

    example: SeriesReference
    example_attributes: SeriesAttributes
    reference: SeriesReference
    attributes: SeriesAttributes
    score: float
    is_like: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A prior study that is shown: its best series, instance and frame.

    Attributes:
        rank: 1-based.
        score: in [-1, 1], larger is nearer: what the rank goes by.
        reference: the series that carried the match.
        attributes: of that series.
        frame: the frame of it that is nearest to `example_frame`.
        encoder: the one that compared these two.
        answers: the example's series that this match answers best; None where only a text was asked.
        example_frame: the frame of it that is nearest to `frame`; None where only a text was asked.
        pair_score: the late-interaction score of `answers` and `reference` alone, in [-1, 1].
        percent: how many percent of the `percent_of` pairs of different patients in this archive are less
            alike than `pair_score`, in [0, 100]; None while too few pairs are known, and where a part of a
            series was asked with: pairs are known of whole series.
        percent_of: the narrowest kind that both series are of and of which enough pairs are known.
        sequences: the example's series with the series that answer them, the one that carried first.
        place: where in `frame` the region that was asked about was found.
        possible_same_person: another patient by its id, and so alike that it may be the same person.
        carried_by_report: a text was asked, and the study's report answers it better than its images.
    """

    rank: int
    score: float
    reference: SeriesReference
    attributes: SeriesAttributes
    frame: FrameReference
    encoder: EncoderVersion
    answers: SeriesReference | None = None
    example_frame: FrameReference | None = None
    pair_score: float = 0.0
    percent: float | None = None
    percent_of: Pairs = "body_part"
    sequences: tuple[SequenceMatch, ...] = ()
    place: Region | None = None
    possible_same_person: bool = False
    carried_by_report: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question is not answered with cases; `reason` is one word in snake case, `message` a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The matches of one question, in rank order.

    Attributes:
        example: what was asked about; empty where only a text was asked, or nothing could be embedded.
        encoder: the one that compared the best match (each match names its own); None where none did.
        matches: other patients' studies. Empty where `refused` says why.
        took_ms: from the question to the answer.
        same_patient: earlier and later studies of the example's own patient, newest first, when asked for.
        refused: why nothing is shown; None where the question was answered, if only with nothing.
        more: what the question was refined with: series that a match shall be like.
        less: series that a match shall be unlike.
        embed_ms: of `took_ms`, until the vectors of the example and of the words were there.
        compared: how many series of the example were compared: of very many, those of each kind.
        unused_reports: why the reports that came with the question were left out, one word in snake case;
            empty where their words were asked with, or there were none.
    """

    example: tuple[SeriesEmbedding, ...]
    encoder: EncoderVersion | None
    matches: tuple[Match, ...]
    took_ms: float
    same_patient: tuple[Match, ...] = ()
    refused: Refusal | None = None
    more: tuple[SeriesReference, ...] = ()
    less: tuple[SeriesReference, ...] = ()
    embed_ms: float = 0.0
    compared: int = 0
    unused_reports: str = ""


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """What an encoder saw in one frame, cell by cell, before it was averaged.

    Attributes:
        encoder: the one that saw it.
        cells: float32 (rows, columns, d), row 0 at the top; the mean of all cells has the direction of the
            frame's vector, exactly for an encoder with a `feature_map` output that is its embedding's
            average; those of others are vectors of overlapping crops, whose mean is only roughly it.
        area: the part of the frame that the cells cover.
    """

    encoder: EncoderVersion
    cells: Vector
    area: Region


@dataclass(frozen=True, slots=True)
class MatchMap:
    """Where one frame looks like another: float32 (rows, columns) in [0, 1] over `area` of the frame."""

    values: Vector
    area: Region
