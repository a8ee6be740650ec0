"""What the use cases need from the world: the archive, the encoder and the vector index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from indexer.destinations import Destination
from indexer.domain import (
    Candidate,
    EncoderVersion,
    FeatureMap,
    Filters,
    IndexedSeries,
    MatchMap,
    Scope,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from indexer.errors import Rejected


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """One series as the archive lists it.

    `revision` changes whenever instances come, go or are replaced as far as a listing can tell; it is
    cheap, and compared with the ledger's to find what must be looked at again. `stable` says that the
    archive expects no more instances soon.
    """

    reference: SeriesReference
    modality: str
    revision: str
    stable: bool


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance of a series, before it is fetched.

    `archive_id` is the archive's own name for the instance. `position` is (0020,0032) projected on the
    slice normal in mm where it is known; `instance_number` is (0020,0013) or None. `size_bytes` is the
    size of the DICOM file. `series_archive_id` names the series that holds it.
    """

    archive_id: str
    sop_instance_uid: str
    instance_number: int | None
    number_of_frames: int
    size_bytes: int
    position_mm: float | None = None
    series_archive_id: str = ""


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series and what it is made of; `fingerprint` is exact: it changes with every change of a file."""

    listed: ListedSeries
    fingerprint: str
    instances: tuple[StoredInstance, ...]


@dataclass(frozen=True, slots=True)
class FetchedInstance:
    """The DICOM file of one instance, on the local disk for as long as the `fetch` that gave it."""

    instance: StoredInstance
    path: Path


class Archive(Protocol):
    """Where the instances are kept. Every call raises ArchiveUnavailable when it does not answer."""

    name: str

    def list_series(self) -> Iterator[ListedSeries]:
        """Every series of the archive, in no order."""
        ...

    def series(self, archive_id: str) -> StoredSeries:
        """One series with its instances, in no order. Raises NotFound when it is gone."""
        ...

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        """Fetch several at once into the folder `into`; the order of arrival is not the order asked.

        An instance that is gone meanwhile is left out.
        """
        ...

    def find_instance(self, sop_instance_uid: str) -> StoredInstance:
        """One instance by its UID. Raises NotFound."""
        ...

    def series_of_study(self, study_instance_uid: str) -> tuple[SeriesReference, ...]:
        """The archive's series of one study; empty when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ArchivedSeries:
    """A series as its archive describes it; texts as they stand there, empty where they do not.

    `instances` counts them. `description` is free text: it may name a person.
    """

    archive_id: str
    series_instance_uid: str
    modality: str
    number: str
    description: str = field(repr=False)
    body_part_examined: str
    manufacturer: str
    instances: int


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    """One patient's study as its archive describes it.

    `attributes` are those of the patient and the study by DICOM keyword: they name a person, so a policy
    is asked before any of them is shown. `patient` is the pseudonym under which the patient is indexed,
    None where that is not known: not every archive tells the issuer of an id.
    """

    study_instance_uid: str
    attributes: Mapping[str, str] = field(repr=False)
    series: tuple[ArchivedSeries, ...]
    patient: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Coding:
    """What an instance is, and how it is encoded: what a presentation context is negotiated for."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Disguise:
    """What a de-identified copy is called: `name` is its patient's name and id, `uid` gives new UIDs.

    The same UID becomes the same new one, so that the instances of a study stay together.
    """

    name: str
    uid: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class WantedCopy:
    """An instance to take out of the archive.

    `transfer_syntax_uid` is what it is transcoded to, empty for as it is stored; with a `disguise` it is
    de-identified.
    """

    instance: StoredInstance
    transfer_syntax_uid: str = ""
    disguise: Disguise | None = None


class Library(Protocol):
    """The archive for those who list its studies and take them out.

    Every call raises ArchiveUnavailable when it does not answer.
    """

    can_disguise: bool
    """Whether it can make de-identified copies."""

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        """The study of each of these series, by the archive id of the series; unknown ones are left out."""
        ...

    def instances_of(self, archive_id: str) -> tuple[StoredInstance, ...]:
        """The instances of one series by their number; none when it is gone."""
        ...

    def codings(self, instances: Sequence[StoredInstance]) -> Mapping[str, Coding]:
        """How these are stored, by the archive id of the instance; what is gone is left out."""
        ...

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        """Take copies out, several at once, as files; in no order.

        One that is gone, lost, too large, or cannot be transcoded or de-identified, is left out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of instances that were sent: how many arrived, and the UIDs of those that did not."""

    arrived: int
    failed: tuple[str, ...] = ()


class Carriage(Protocol):
    """An open way to a destination."""

    taken: frozenset[Coding]
    """What the destination takes."""

    def store(self, path: Path) -> bool:
        """Send one DICOM file; whether it arrived.

        Raises Unavailable once the way is broken: nothing more arrives on it.
        """
        ...


class Carrier(Protocol):
    """Brings instances to other application entities."""

    def open(self, destination: Destination, codings: Collection[Coding]) -> AbstractContextManager[Carriage]:
        """Ask a destination to take instances of these codings.

        Raises Unavailable when it cannot be reached, or takes none of them.
        """
        ...


ChangeKind = Literal["new", "stable", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of an archive's log about a series."""

    sequence: int
    kind: ChangeKind
    archive_id: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A piece of the log.

    `last` is the sequence number to go on from; it is smaller than the one asked from when the log was
    started anew. `done` says that there is nothing after it.
    """

    changes: tuple[Change, ...]
    last: int
    done: bool


class ChangeLog(Protocol):
    """What the archive has logged about its series, oldest first; it may have forgotten some."""

    def changes(self, since: int, limit: int) -> ChangePage:
        """The next `limit` entries after the number `since`. Raises ArchiveUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Which modality values become black to white, in units of the modality (CT: HU); `width` is > 0."""

    center: float
    width: float


def window_or_none(center: float | None, width: float | None) -> Window | None:
    """Both, or neither. Raises Rejected."""
    if center is None and width is None:
        return None
    if center is None or width is None:
        raise Rejected("Give both window_center and window_width, or neither.")
    return Window(center, width)


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """The unit vector float32 (d,) of a text, comparable with the image vectors of `encoder`."""

    encoder: EncoderVersion
    vector: Vector


class Encoder(Protocol):
    """Turns the instances of an example into embeddings, and a frame into a picture."""

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files, one embedding a series; files of several series may be mixed.

        Args:
            instances: DICOM files.
            frame_number: only this frame (1-based) of each; None: frames sampled over each series.

        Raises:
            Rejected: no frame of any of them can be embedded; its text says why.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame as a radiologist would recognise it: a PNG, grey or RGB.

        Args:
            instance: a DICOM file.
            frame_number: 1-based.
            longest_side: pixels; a smaller frame is not enlarged.
            window: of a grey frame; None takes the instance's own.
        """
        ...

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder of the instance's modality saw in each of these frames (1-based), cell by cell.

        Raises:
            Rejected: a frame cannot be decoded, or no encoder takes the modality.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames looks like the other, found by covering patches; seconds a pair.

        Args:
            instances: the DICOM file of each frame; one file may be named twice.
            frame_numbers: 1-based.

        Raises:
            Rejected: as `feature_maps`, and where each of them has another encoder.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def embed_text(self, text: str) -> TextEmbedding:
        """Embed a text by the image-text encoder that is searched.

        Raises:
            NotConfigured: no encoder that is searched has a text tower; the message says how to get one.
            EncoderUnavailable: the worker does not answer.
        """
        ...


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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as the archive's access rules need to know.

    `name` is for the log of who asked what. `credentials` are the HTTP headers with which the archive
    is probed on the caller's behalf; None means that the caller is trusted with the whole archive (the
    local command, the administrator's token, the AE whose callers are configured).
    """

    name: str
    credentials: Mapping[str, str] | None = None


class Access(Protocol):
    """Who may see what, decided by the archive."""

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        """The archive ids, of those given, that the archive would show to this caller."""
        ...
