"""An archive in memory that behaves as Orthanc does: its identifiers, its log, its forgetting."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from indexer.adapters.slice_position import position_mm
from indexer.domain import SeriesReference
from indexer.errors import ArchiveUnavailable, NotFound
from indexer.ports import (
    Caller,
    Change,
    ChangeKind,
    ChangePage,
    FetchedInstance,
    ListedSeries,
    StoredInstance,
    StoredSeries,
)


@dataclass
class _File:
    """One stored instance; `uuid` is new with every storing, as Orthanc's FileUuid."""

    instance: StoredInstance
    content: bytes
    uuid: int


@dataclass
class _Series:
    reference: SeriesReference
    modality: str
    stable: bool = False
    last_update: int = 0
    files: dict[str, _File] = field(default_factory=dict)


class FakeArchive:
    """Implements Archive, ChangeLog and Access; set `unavailable` to see what a use case does then.

    A caller without credentials sees everything; one with credentials sees the series that were `show`n
    to those credentials.
    """

    def __init__(self, name: str = "orthanc") -> None:
        self.name = name
        self.unavailable = False
        self.fetched: list[str] = []
        self._series: dict[str, _Series] = {}
        self._log: list[Change] = []
        self._sequence = itertools.count(1)
        self._clock = itertools.count(1)
        self._last = 0
        self._shown: dict[tuple[tuple[str, str], ...], set[str]] = {}

    # What a test does to it

    def store(self, file: Path | bytes) -> str:
        """Store a DICOM file, overwriting the same instance; gives the series' archive id."""
        content = file if isinstance(file, bytes) else file.read_bytes()
        dataset = dcmread(BytesIO(content), stop_before_pixels=True, force=True)
        number = str(dataset.get("InstanceNumber", "") or "")
        return self.put(
            patient=str(dataset.get("PatientID", "")),
            study=str(dataset.StudyInstanceUID),
            series=str(dataset.SeriesInstanceUID),
            sop=str(dataset.SOPInstanceUID),
            modality=str(dataset.get("Modality", "")),
            content=content,
            instance_number=int(number) if number else None,
            number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1),
            position=position_mm(
                [float(x) for x in dataset.get("ImagePositionPatient", None) or ()],
                [float(x) for x in dataset.get("ImageOrientationPatient", None) or ()],
            ),
        )

    def put(
        self,
        *,
        study: str,
        series: str,
        sop: str,
        patient: str = "",
        modality: str = "CT",
        content: bytes = b"DICM",
        instance_number: int | None = None,
        number_of_frames: int = 1,
        position: float | None = None,
    ) -> str:
        """Store an instance of which only these words matter; gives the series' archive id."""
        archive_id = orthanc_id(patient, study, series)
        kept = self._series.get(archive_id)
        if kept is None:
            reference = SeriesReference(study, series, archive_id)
            kept = self._series[archive_id] = _Series(reference=reference, modality=modality)
            self._log_change("new", archive_id)
        instance = StoredInstance(
            archive_id=orthanc_id(patient, study, series, sop),
            sop_instance_uid=sop,
            instance_number=instance_number,
            number_of_frames=number_of_frames,
            size_bytes=len(content),
            position_mm=position,
            series_archive_id=archive_id,
        )
        kept.files[instance.archive_id] = _File(instance, content, next(self._clock))
        kept.stable, kept.last_update = False, next(self._clock)
        return archive_id

    def stabilise(self, archive_id: str) -> None:
        """Let the series be stable, and log it."""
        self._series[archive_id].stable = True
        self._log_change("stable", archive_id)

    def lose_the_stable_event(self, archive_id: str) -> None:
        """Let the series be stable without a log entry, as a killed Orthanc does."""
        self._series[archive_id].stable = True

    def delete_series(self, archive_id: str) -> None:
        """Delete, and with it every trace in the log."""
        del self._series[archive_id]
        self._log = [change for change in self._log if change.archive_id != archive_id]

    def delete_instance(self, sop_instance_uid: str) -> None:
        """Delete one instance, with its series when it was the last."""
        for archive_id, kept in list(self._series.items()):
            doomed = [i for i, f in kept.files.items() if f.instance.sop_instance_uid == sop_instance_uid]
            for instance_id in doomed:
                del kept.files[instance_id]
                kept.last_update = next(self._clock)
            if not kept.files:
                self.delete_series(archive_id)

    def start_anew(self) -> None:
        """Forget everything, the log's numbers too, as a new database does."""
        self._series, self._log, self._last = {}, [], 0
        self._sequence = itertools.count(1)

    def show(self, archive_id: str, credentials: dict[str, str]) -> None:
        """Let the callers with these credentials see the series."""
        self._shown.setdefault(_key(credentials), set()).add(archive_id)

    def content(self, instance_archive_id: str) -> bytes:
        """The DICOM file of an instance. Raises KeyError."""
        file = self._file(instance_archive_id)
        if file is None:
            raise KeyError(instance_archive_id)
        return file.content

    # What the ports promise

    def list_series(self) -> Iterator[ListedSeries]:
        self._answer()
        yield from [_listed(kept) for kept in self._series.values()]

    def series(self, archive_id: str) -> StoredSeries:
        self._answer()
        kept = self._series.get(archive_id)
        if kept is None:
            raise NotFound(f"There is no series {archive_id}.")
        uuids = sorted(f"{f.instance.sop_instance_uid} {f.uuid}" for f in kept.files.values())
        return StoredSeries(
            listed=_listed(kept),
            fingerprint=_hash(*uuids),
            instances=tuple(f.instance for f in kept.files.values()),
        )

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        for instance in instances:
            self._answer()
            file = self._file(instance.archive_id)
            if file is None:
                continue
            path = into / f"{instance.archive_id}.dcm"
            path.write_bytes(file.content)
            self.fetched.append(instance.archive_id)
            yield FetchedInstance(instance=instance, path=path)

    def find_instance(self, sop_instance_uid: str) -> StoredInstance:
        self._answer()
        for kept in self._series.values():
            for file in kept.files.values():
                if file.instance.sop_instance_uid == sop_instance_uid:
                    return file.instance
        raise NotFound(f"There is no instance {sop_instance_uid}.")

    def series_of_study(self, study_instance_uid: str) -> tuple[SeriesReference, ...]:
        self._answer()
        references = (kept.reference for kept in self._series.values())
        return tuple(r for r in references if r.study_instance_uid == study_instance_uid)

    def changes(self, since: int, limit: int) -> ChangePage:
        self._answer()
        after = [change for change in self._log if change.sequence > since]
        page = tuple(after[:limit])
        last = page[-1].sequence if page else self._last
        return ChangePage(changes=page, last=last, done=len(after) <= limit)

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        self._answer()
        asked = frozenset(reference.archive_id for reference in series)
        if caller.credentials is None:
            return asked
        return asked & self._series.keys() & self._shown.get(_key(caller.credentials), set())

    def _answer(self) -> None:
        if self.unavailable:
            raise ArchiveUnavailable("The archive is switched off.")

    def _file(self, archive_id: str) -> _File | None:
        for kept in self._series.values():
            if archive_id in kept.files:
                return kept.files[archive_id]
        return None

    def _log_change(self, kind: ChangeKind, archive_id: str) -> None:
        self._last = next(self._sequence)
        self._log.append(Change(sequence=self._last, kind=kind, archive_id=archive_id))


def orthanc_id(*names: str) -> str:
    """Orthanc's identifier: SHA-1 of "PatientID|Study|Series[|Instance]" in five groups."""
    digest = hashlib.sha1("|".join(names).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def _listed(kept: _Series) -> ListedSeries:
    revision = _hash(str(kept.last_update), str(kept.stable), *sorted(kept.files))
    return ListedSeries(
        reference=kept.reference, modality=kept.modality, revision=revision, stable=kept.stable
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _key(credentials: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(credentials.items()))
