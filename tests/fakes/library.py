"""A library over the archive in memory, and a carrier that keeps what it is given."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from indexer.destinations import Destination
from indexer.errors import NotFound, Unavailable
from indexer.ports import (
    ArchivedSeries,
    ArchivedStudy,
    Coding,
    FetchedInstance,
    StoredInstance,
    WantedCopy,
)
from tests.fakes.archive import FakeArchive


class FakeLibrary:
    """`Library` over a FakeArchive; a disguise replaces the patient and the UIDs, and nothing else."""

    def __init__(self, archive: FakeArchive, *, can_disguise: bool = True) -> None:
        self.archive = archive
        self.can_disguise = can_disguise

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        found: dict[str, ArchivedStudy] = {}
        for archive_id in archive_ids:
            instances = self.instances_of(archive_id)
            if instances:
                header = self._dataset(instances[0])
                found[archive_id] = ArchivedStudy(
                    str(header.StudyInstanceUID),
                    {k: str(header.get(k, "")) for k in ("PatientName", "PatientID", "StudyDate")},
                    tuple(self._series(header)),
                )
        return found

    def instances_of(self, archive_id: str) -> tuple[StoredInstance, ...]:
        try:
            return self.archive.series(archive_id).instances
        except NotFound:
            return ()

    def codings(self, instances: Sequence[StoredInstance]) -> Mapping[str, Coding]:
        headers = {instance.archive_id: self._dataset(instance) for instance in instances}
        return {i: Coding(h.SOPClassUID, h.file_meta.TransferSyntaxUID) for i, h in headers.items()}

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        for copy in wanted:
            [fetched] = self.archive.fetch([copy.instance], into)
            if copy.disguise is not None:
                dataset = dcmread(fetched.path)
                dataset.PatientName = dataset.PatientID = copy.disguise.name
                dataset.StudyInstanceUID = copy.disguise.uid(dataset.StudyInstanceUID)
                dataset.save_as(fetched.path)
            yield fetched

    def _series(self, header: Dataset) -> Iterator[ArchivedSeries]:
        for listed in self.archive.list_series():
            reference = listed.reference
            first = self._dataset(self.instances_of(reference.archive_id)[0])
            if (first.StudyInstanceUID, first.PatientID) == (header.StudyInstanceUID, header.PatientID):
                yield ArchivedSeries(
                    reference.archive_id,
                    reference.series_instance_uid,
                    listed.modality,
                    "1",
                    "",
                    "",
                    str(first.get("Manufacturer", "")),
                    len(self.instances_of(reference.archive_id)),
                )

    def _dataset(self, instance: StoredInstance) -> Dataset:
        return dcmread(BytesIO(self.archive.content(instance.archive_id)), stop_before_pixels=True)


@dataclass
class FakeCarrier:
    """Keeps what is sent by destination; `down` destinations cannot be reached, and `refused` UIDs fail.

    Every way that is opened breaks off once `breaks_after` instances in all arrived. While `slow` is set
    to an event that did not happen, each instance takes `slow_s`.
    """

    sent: dict[str, list[Dataset]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    breaks_after: int | None = None
    slow: threading.Event | None = None
    slow_s: float = 0.5

    @contextmanager
    def open(self, destination: Destination, codings: Collection[Coding]) -> Iterator[FakeCarriage]:
        if destination.ae_title in self.down:
            raise Unavailable(f"{destination.ae_title} is down.")
        kept = self.sent.setdefault(destination.ae_title, [])
        yield FakeCarriage(frozenset(codings), kept, self)


@dataclass
class FakeCarriage:
    """One way to a destination, which takes whatever it is asked to."""

    taken: frozenset[Coding]
    kept: list[Dataset]
    carrier: FakeCarrier

    def store(self, path: Path) -> bool:
        dataset = dcmread(path)
        if self.carrier.slow is not None:
            self.carrier.slow.wait(self.carrier.slow_s)
        after = self.carrier.breaks_after
        if after is not None and sum(map(len, self.carrier.sent.values())) >= after:
            raise Unavailable("The way broke off.")
        if dataset.SOPInstanceUID in self.carrier.refused:
            return False
        self.kept.append(dataset)
        return True
