"""Where instances are kept: what there is, its log, and the instances themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from indexer.domain import (
    SeriesReference,
)


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
