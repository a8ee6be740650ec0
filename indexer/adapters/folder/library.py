"""A folder for those who list its studies and take them out: as they are, for nothing else can be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydicom.datadict import tag_for_keyword

from indexer.adapters.folder.archive import FolderArchive
from indexer.codes import modality_code, uid_or_empty
from indexer.elements import TRANSFER_SYNTAX_UID, read_elements
from indexer.errors import NotFound, Rejected
from indexer.ports import (
    ArchivedSeries,
    ArchivedStudy,
    Coding,
    FetchedInstance,
    StoredInstance,
    WantedCopy,
)

_OF_STUDY: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName"),
)
_OF_SERIES: Final = ("Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "Manufacturer")
_IMPLICIT: Final = "1.2.840.10008.1.2"


class FolderLibrary:
    """`Library` over the files of a folder archive."""

    can_disguise = False

    def __init__(self, folder: Path, archive: FolderArchive) -> None:
        """Read the files below `folder`, which `archive` lists."""
        self._folder = folder.absolute()
        self._archive = archive

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        """The study of each of these series, from the headers of its files.

        What the archive has not seen yet, when it last looked at the folder, is not there.
        """
        known = self._archive.known_series()
        wanted = {i: i.partition("/")[0] for i in archive_ids if i in known}
        members: dict[str, list[str]] = {uid: [] for uid in wanted.values()}
        for archive_id in known:
            members.get(archive_id.partition("/")[0], []).append(archive_id)
        studies = {uid: self._study(uid, series) for uid, series in members.items()}
        return {
            i: study
            for i, uid in wanted.items()
            if (study := studies[uid]) and any(series.archive_id == i for series in study.series)
        }

    def instances_of(self, archive_id: str) -> tuple[StoredInstance, ...]:
        """The instances of one series by their number; none when it is gone."""
        try:
            instances = self._archive.series(archive_id).instances
        except NotFound:
            return ()
        return tuple(sorted(instances, key=lambda i: (i.instance_number or 0, i.sop_instance_uid)))

    def codings(self, instances: Sequence[StoredInstance]) -> Mapping[str, Coding]:
        """How these are stored."""
        found = {}
        for instance in instances:
            header = self._header(instance, ("SOPClassUID",))
            if header.get("SOPClassUID"):
                found[instance.archive_id] = Coding(header["SOPClassUID"], header["TransferSyntaxUID"])
        return found

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        """The files where they are; those that would have to be transcoded or de-identified are left out."""
        plain = [c.instance for c in wanted if not c.transfer_syntax_uid and c.disguise is None]
        return self._archive.fetch(plain, into)

    def _study(self, study_instance_uid: str, archive_ids: Sequence[str]) -> ArchivedStudy | None:
        described: list[ArchivedSeries] = []
        attributes: Mapping[str, str] = {}
        for archive_id in sorted(archive_ids):
            instances = self.instances_of(archive_id)
            if not instances:
                continue
            header = self._header(instances[0], (*_OF_STUDY, *_OF_SERIES))
            attributes = attributes or {k: header[k] for k in _OF_STUDY if k in header}
            described.append(_series(archive_id, header, len(instances)))
        return ArchivedStudy(study_instance_uid, attributes, tuple(described)) if described else None

    def _header(self, instance: StoredInstance, keywords: Sequence[str]) -> dict[str, str]:
        """Texts by keyword, and the transfer syntax; nothing of a file that is gone or broken."""
        tags = {tag: k for k in ("SpecificCharacterSet", *keywords) if (tag := tag_for_keyword(k))}
        try:
            with (self._folder / instance.archive_id).open("rb") as file:
                values = read_elements(file, [*tags, TRANSFER_SYNTAX_UID]) or {}
        except (OSError, Rejected):
            return {}
        syntax = values.get(TRANSFER_SYNTAX_UID, b"").decode("ascii", errors="replace").strip("\0 ")
        codec = _codec(values.get(0x00080005, b""))
        texts = {
            tags[t]: value.decode(codec, errors="replace").strip("\0 ")
            for t, value in values.items()
            if t in tags
        }
        return {**texts, "TransferSyntaxUID": uid_or_empty(syntax) or _IMPLICIT}


def _codec(character_set: bytes) -> str:
    """Unicode where it is declared; else one that takes every byte."""
    return "utf-8" if b"ISO_IR 192" in character_set else "latin-1"


def _series(archive_id: str, header: Mapping[str, str], instances: int) -> ArchivedSeries:
    return ArchivedSeries(
        archive_id=archive_id,
        series_instance_uid=archive_id.partition("/")[2],
        modality=modality_code(header.get("Modality", "")),
        number=header.get("SeriesNumber", ""),
        description=header.get("SeriesDescription", ""),
        body_part_examined=header.get("BodyPartExamined", ""),
        manufacturer=header.get("Manufacturer", ""),
        instances=instances,
    )
