"""A folder of DICOM files as the archive: nothing is copied, and nothing is written to it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from indexer.adapters.folder.scan import FoundFile, RejectedFile, Scanner, Snapshot, stamp_of
from indexer.domain import SeriesReference
from indexer.errors import NotFound
from indexer.ports import Caller, FetchedInstance, ListedSeries, StoredInstance, StoredSeries


class FolderArchive:
    """Archive and Access over the DICOM files anywhere below a folder.

    A series is named by its UIDs, "study/series"; an instance by the path of its file below the folder.
    What is no DICOM file is counted; what is one without usable UIDs is rejected. Where several files
    of a series carry one SOP Instance UID, the first in the order of their paths is the instance, be it
    whole or not, and the others are counted as duplicates; Orthanc too keeps the first that it gets. Where
    files of several series carry one, each series has its own, as in Orthanc.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is looked at when something is asked.

        Two folders have two names, for what one lacks must not be missed in the other; a name is a
        hash, for a path may hold the name of a patient.
        """
        self._folder = folder.absolute()
        self.name = "folder-" + hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:12]
        self._scanner = Scanner(self._folder)
        self._lock = threading.Lock()
        self._latest: Snapshot | None = None

    @property
    def rejected(self) -> tuple[RejectedFile, ...]:
        """The DICOM files that are no instances, of the latest look at the folder."""
        return tuple(self._snapshot().rejected)

    @property
    def not_dicom(self) -> int:
        """How many files are not DICOM, or are a DICOMDIR."""
        return self._snapshot().not_dicom

    @property
    def duplicates(self) -> int:
        """How many files repeat an instance that another file holds."""
        return self._snapshot().duplicates

    def list_series(self) -> Iterator[ListedSeries]:
        """Every series; looks at the whole folder again, and reads the files that are new or changed."""
        for archive_id, files in self._look_again().series.items():
            yield _listed(archive_id, files.values())

    def series(self, archive_id: str) -> StoredSeries:
        """One series with its instances. Raises NotFound when it is gone."""
        files = self._current_files(archive_id)
        return StoredSeries(
            listed=_listed(archive_id, files),
            fingerprint=_fingerprint(files),
            instances=tuple(_stored_instance(file) for file in files),
        )

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        """The files where they are, `into` being left alone; one that is gone is left out."""
        for instance in instances:
            path = self._folder / instance.archive_id
            if path.is_file():
                yield FetchedInstance(instance=instance, path=path)

    def find_instance(self, sop_instance_uid: str) -> StoredInstance:
        """One instance by its UID; where several series hold it, always of the same one."""
        for snapshot in self._old_and_new():
            holding = [
                files[sop_instance_uid] for files in snapshot.series.values() if sop_instance_uid in files
            ]
            for file in sorted(holding, key=lambda file: file.name):
                if stamp_of(self._folder / file.name) == file.stamp:
                    return _stored_instance(file)
        raise NotFound(f"There is no instance {sop_instance_uid}.")

    def series_of_study(self, study_instance_uid: str) -> tuple[SeriesReference, ...]:
        """The series of one study; empty when there is none."""
        return tuple(
            _reference(files.values())
            for archive_id, files in self._look_again().series.items()
            if archive_id.startswith(f"{study_instance_uid}/")
        )

    def known_series(self) -> Collection[str]:
        """The archive ids of every series of the latest look; looks only where there was none."""
        return self._snapshot().series.keys()

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        """All of them: a folder keeps no accounts."""
        return frozenset(reference.archive_id for reference in series)

    def _look_again(self) -> Snapshot:
        with self._lock:
            self._latest = self._scanner.scan()
            return self._latest

    def _snapshot(self) -> Snapshot:
        return self._latest or self._look_again()

    def _old_and_new(self) -> Iterator[Snapshot]:
        """What is known; then, when that did not do, what is there."""
        if self._latest is not None:
            yield self._latest
        yield self._look_again()

    def _current_files(self, archive_id: str) -> list[FoundFile]:
        """The files of a series, from the latest look where nothing around them has changed since."""
        snapshot = self._snapshot()
        if not self._unchanged(snapshot, archive_id):
            snapshot = self._look_again()
        if archive_id not in snapshot.series:
            raise NotFound(f"There is no series {archive_id} in the folder.")
        return list(snapshot.series[archive_id].values())

    def _unchanged(self, snapshot: Snapshot, archive_id: str) -> bool:
        files = snapshot.series.get(archive_id, {}).values()
        directories = {file.name.rpartition("/")[0] for file in files}
        return bool(files) and (
            all(_modified_ns(self._folder / d) == snapshot.directories.get(d) for d in directories)
            and all(stamp_of(self._folder / file.name) == file.stamp for file in files)
        )


def _modified_ns(directory: Path) -> int | None:
    try:
        return directory.stat().st_mtime_ns
    except OSError:
        return None


def _listed(archive_id: str, files: Iterable[FoundFile]) -> ListedSeries:
    found = list(files)
    return ListedSeries(
        reference=_reference(found),
        modality=found[0].header.modality,
        revision=_fingerprint(found)[:32],
        stable=True,
    )


def _reference(files: Iterable[FoundFile]) -> SeriesReference:
    header = next(iter(files)).header
    return SeriesReference(header.study_instance_uid, header.series_instance_uid, header.archive_id)


def _stored_instance(file: FoundFile) -> StoredInstance:
    return StoredInstance(
        archive_id=file.name,
        sop_instance_uid=file.header.sop_instance_uid,
        instance_number=file.header.instance_number,
        number_of_frames=file.header.number_of_frames,
        size_bytes=file.stamp.size_bytes,
        position_mm=file.header.position_mm,
        series_archive_id=file.header.archive_id,
    )


def _fingerprint(files: Iterable[FoundFile]) -> str:
    """SHA-256 over names, sizes and times: nothing of a name can be read back from it."""
    lines = sorted(
        f"{file.header.sop_instance_uid} {file.stamp.size_bytes} {file.stamp.modified_ns} {file.name}"
        for file in files
    )
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()
