"""What lies in a folder: every DICOM file of it by series, and why the others are none."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer.adapters.folder.header import Header, NoHeader, read_header
from indexer.errors import ArchiveUnavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a file from its later self."""

    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One instance in the folder; `name` is its path relative to the folder, with slashes."""

    name: str
    stamp: Stamp
    header: Header


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A DICOM file that is no instance. Its name may hold a patient's: it is not logged."""

    name: str
    reason: str


@dataclass
class Snapshot:
    """The folder at one moment.

    In `series` a SOP Instance UID occurs once: where several files carry it, the first in the order of
    their names is taken and the others are counted as `duplicates`.
    """

    series: dict[str, dict[str, FoundFile]] = field(default_factory=dict)
    rejected: list[RejectedFile] = field(default_factory=list)
    directories: dict[str, int] = field(default_factory=dict)
    not_dicom: int = 0
    duplicates: int = 0


class Scanner:
    """Scans a folder again and again; a file whose size and time are unchanged is not read again."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is not looked at yet."""
        self._folder = folder
        self._known: dict[str, tuple[Stamp, Header | NoHeader]] = {}

    def scan(self) -> Snapshot:
        """Look at everything below the folder. Raises ArchiveUnavailable when it cannot be read."""
        snapshot = Snapshot()
        known: dict[str, tuple[Stamp, Header | NoHeader]] = {}
        for name, stamp in sorted(self._files(snapshot.directories)):
            header = self._header(name, stamp)
            if header is not None:
                known[name] = (stamp, header)
                _file_under(snapshot, name, stamp, header)
        self._known = known
        logger.info(
            "folder_scanned series=%d rejected=%d not_dicom=%d duplicates=%d",
            len(snapshot.series),
            len(snapshot.rejected),
            snapshot.not_dicom,
            snapshot.duplicates,
        )
        return snapshot

    def _files(self, directories: dict[str, int]) -> Iterator[tuple[str, Stamp]]:
        """Every regular file; links to folders are not followed."""
        waiting = [""]
        while waiting:
            directory = waiting.pop()
            for name, entry in self._entries(directory, directories):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif (stamp := stamp_of(self._folder / name)) is not None:
                    yield name, stamp

    def _entries(self, directory: str, directories: dict[str, int]) -> Iterator[tuple[str, os.DirEntry[str]]]:
        path = self._folder / directory
        try:
            directories[directory] = path.stat().st_mtime_ns
            with os.scandir(path) as entries:
                for entry in entries:
                    yield (f"{directory}/{entry.name}" if directory else entry.name), entry
        except (PermissionError, FileNotFoundError) as error:
            if not directory:
                raise ArchiveUnavailable(f"The folder cannot be read: {error.strerror}.") from error
            logger.warning("folder_skipped error=%s", type(error).__name__)
        except OSError as error:
            raise ArchiveUnavailable(f"The folder cannot be read: {error.strerror}.") from error

    def _header(self, name: str, stamp: Stamp) -> Header | NoHeader | None:
        """None when the file has gone meanwhile."""
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            with (self._folder / name).open("rb") as file:
                return read_header(file)
        except FileNotFoundError:
            return None
        except PermissionError:
            return NoHeader("unreadable")
        except OSError as error:
            raise ArchiveUnavailable(f"The folder cannot be read: {error.strerror}.") from error


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a regular file; None when it is none, or gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _file_under(snapshot: Snapshot, name: str, stamp: Stamp, header: Header | NoHeader) -> None:
    if isinstance(header, Header):
        instances = snapshot.series.setdefault(header.archive_id, {})
        kept = instances.setdefault(header.sop_instance_uid, FoundFile(name, stamp, header))
        snapshot.duplicates += kept.name != name
    elif header.reason in ("not_dicom", "dicomdir"):
        snapshot.not_dicom += 1
    else:
        snapshot.rejected.append(RejectedFile(name, header.reason))
        logger.debug("file_rejected reason=%s", header.reason)
