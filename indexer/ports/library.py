"""What the archive tells of its studies, and the copies that it lets out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from indexer.ports.archive import FetchedInstance, StoredInstance


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
