"""Orthanc for those who list its studies and take copies out: as stored, transcoded, de-identified."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from indexer.adapters.orthanc.reading import is_orthanc_id, stored_instance
from indexer.adapters.orthanc.rest import Download, OrthancRest
from indexer.codes import modality_code, uid_or_empty
from indexer.ports import (
    ArchivedSeries,
    ArchivedStudy,
    Coding,
    Disguise,
    FetchedInstance,
    StoredInstance,
    WantedCopy,
)

METHOD: Final = "Orthanc anonymization; new UIDs by a keyed hash"
"""(0012,0063) De-identification Method: Orthanc leaves it out where UIDs are given to it."""

REMOVED: Final = (
    "0042-0010",
    *(f"{group:04x}-{element}" for group in range(0x6000, 0x6020, 2) for element in (
        *("0010", "0011", "0015", "0022", "0040", "0045", "0050", "0051", "0100", "0102"),
        *("1301", "1302", "1303", "1500", "3000", "4000"),
    )),
)  # fmt: skip
"""What Orthanc's profile keeps, and may name a patient: Document Title, and the overlays (PS3.15 E.1)."""

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class OrthancLibrary:
    """`Library` over Orthanc's REST API."""

    can_disguise = True

    def __init__(self, rest: OrthancRest) -> None:
        """Ask through `rest`, which somebody else closes."""
        self._rest = rest

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        """The study of each of these series: three small requests a study."""
        series = self._rest.get_each([f"/series/{i}" for i in dict.fromkeys(archive_ids) if is_orthanc_id(i)])
        parents = {found["ID"]: str(found["ParentStudy"]) for found in series.values()}
        names = sorted(set(parents.values()))
        studies = self._rest.get_each([f"/studies/{name}" for name in names])
        members = self._rest.get_each([f"/studies/{name}/series?expand=true" for name in names])
        described = {
            name: _study(studies[f"/studies/{name}"], members[f"/studies/{name}/series?expand=true"])
            for name in names
            if f"/studies/{name}" in studies and f"/studies/{name}/series?expand=true" in members
        }
        return {i: described[parent] for i, parent in parents.items() if parent in described}

    def instances_of(self, archive_id: str) -> tuple[StoredInstance, ...]:
        """The instances of one series by their number; none when it is gone."""
        path = f"/series/{archive_id}/instances?expand=true"
        found = self._rest.get_each([path] if is_orthanc_id(archive_id) else []).get(path, [])
        instances = (stored_instance(instance) for instance in found)
        return tuple(sorted(instances, key=lambda i: (i.instance_number or 0, i.sop_instance_uid)))

    def codings(self, instances: Sequence[StoredInstance]) -> Mapping[str, Coding]:
        """How these are stored, as Orthanc noted it when it received them."""
        wanted = [i.archive_id for i in instances if is_orthanc_id(i.archive_id)]
        question = {"Resources": wanted, "Level": "Instance", "Metadata": True}
        answer = self._rest.post("/tools/bulk-content", question) if wanted else []
        return {
            found["ID"]: Coding(uid_or_empty(noted["SopClassUid"]), uid_or_empty(noted["TransferSyntax"]))
            for found in answer
            if {"SopClassUid", "TransferSyntax"} <= (noted := found.get("Metadata", {})).keys()
        }

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        """Take copies out, four at once, each file complete when it is given.

        One that Orthanc lost, or that is larger than allowed, is left out; where several are wanted and it
        can give none of them, it is ArchiveUnavailable.

        Orthanc 1.10 does not transcode what it de-identifies: such a copy comes as it is stored.
        """
        by_file = {
            into / f"{copy.instance.archive_id}.dcm": copy
            for copy in wanted
            if is_orthanc_id(copy.instance.archive_id)
        }
        identities = self._identities(tuple(by_file.values()))
        downloads = [
            _download(copy, to, identities.get(copy.instance.archive_id, {}))
            for to, copy in by_file.items()
            if copy.disguise is None or copy.instance.archive_id in identities
        ]
        for download in self._rest.fetch(downloads):
            yield FetchedInstance(instance=by_file[download.to].instance, path=download.to)

    def _identities(self, wanted: Sequence[WantedCopy]) -> Mapping[str, Mapping[str, str]]:
        """The UIDs of the instances that get new ones, by archive id; without what is gone."""
        disguised = [copy.instance for copy in wanted if copy.disguise is not None]
        if not disguised:
            return {}
        series = self._rest.get_each(sorted({f"/series/{i.series_archive_id}" for i in disguised}))
        studies = self._rest.get_each(sorted({f"/studies/{one['ParentStudy']}" for one in series.values()}))
        frames = self._rest.texts([f"/instances/{i.archive_id}/content/0020-0052" for i in disguised])
        found = {}
        for instance in disguised:
            own = series.get(f"/series/{instance.series_archive_id}")
            study = studies.get(f"/studies/{own['ParentStudy']}") if own else None
            if own is None or study is None:
                continue
            uids = (
                study["MainDicomTags"].get("StudyInstanceUID", ""),
                own["MainDicomTags"].get("SeriesInstanceUID", ""),
                instance.sop_instance_uid,
            )
            frame = frames.get(f"/instances/{instance.archive_id}/content/0020-0052", "").strip("\0 ")
            found[instance.archive_id] = dict(zip(_UIDS, uids, strict=True)) | (
                {"FrameOfReferenceUID": frame} if frame else {}
            )
        return found


def _download(copy: WantedCopy, to: Path, identity: Mapping[str, str]) -> Download:
    path, size = f"/instances/{copy.instance.archive_id}", copy.instance.size_bytes
    transcoded = {"Transcode": copy.transfer_syntax_uid} if copy.transfer_syntax_uid else {}
    if copy.disguise is not None:
        replaced = _replaced(copy.disguise, identity)
        body = {"Replace": replaced, "Remove": REMOVED, "Force": True, **transcoded}
        return Download(f"{path}/anonymize", to, size, body=json.dumps(body).encode(), may_fail=True)
    if transcoded:
        body = {"Keep": list(_UIDS), "Force": True, **transcoded}
        return Download(f"{path}/modify", to, size, body=json.dumps(body).encode(), may_fail=True)
    return Download(f"{path}/file", to, size, may_fail=True)


def _replaced(disguise: Disguise, identity: Mapping[str, str]) -> dict[str, str]:
    return {
        **{keyword: disguise.uid(uid) for keyword, uid in identity.items()},
        "PatientID": disguise.name,
        "PatientName": disguise.name,
        "DeidentificationMethod": METHOD,
    }


def _study(study: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> ArchivedStudy:
    own = study["MainDicomTags"]
    return ArchivedStudy(
        study_instance_uid=uid_or_empty(own.get("StudyInstanceUID", "")),
        attributes={**study.get("PatientMainDicomTags", {}), **own},
        series=tuple(_series(one) for one in series),
    )


def _series(series: Mapping[str, Any]) -> ArchivedSeries:
    tags = series["MainDicomTags"]
    return ArchivedSeries(
        archive_id=series["ID"],
        series_instance_uid=uid_or_empty(tags.get("SeriesInstanceUID", "")),
        modality=modality_code(tags.get("Modality", "")),
        number=tags.get("SeriesNumber", ""),
        description=tags.get("SeriesDescription", ""),
        body_part_examined=tags.get("BodyPartExamined", ""),
        manufacturer=tags.get("Manufacturer", ""),
        instances=len(series["Instances"]),
    )
