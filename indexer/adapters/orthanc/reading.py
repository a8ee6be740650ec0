"""Orthanc's JSON, read into this system's words."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from indexer.adapters.slice_position import position_mm
from indexer.codes import modality_code, uid_or_empty
from indexer.domain import SeriesReference
from indexer.ports import ListedSeries, StoredInstance

_ORTHANC_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_UID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")


def is_orthanc_id(text: str) -> bool:
    """Whether it has the form of Orthanc's identifiers, and so may stand in a path."""
    return _ORTHANC_ID.fullmatch(text) is not None


def is_uid(text: str) -> bool:
    """Whether it can be a UID, leniently; Orthanc answers 400 to what looks like a pattern."""
    return _UID.fullmatch(text) is not None


def listed_series(series: Mapping[str, Any], study_instance_uid: str) -> ListedSeries:
    """One series of `/series?expand` or `/series/{id}`."""
    tags = series["MainDicomTags"]
    return ListedSeries(
        reference=SeriesReference(
            study_instance_uid=uid_or_empty(study_instance_uid),
            series_instance_uid=uid_or_empty(tags.get("SeriesInstanceUID", "")),
            archive_id=series["ID"],
        ),
        modality=modality_code(tags.get("Modality", "")),
        revision=_revision(series),
        stable=bool(series.get("IsStable", False)),
    )


def stored_instance(instance: Mapping[str, Any]) -> StoredInstance:
    """One instance of `/series/{id}/instances?expand` or `/instances/{id}`."""
    tags = instance["MainDicomTags"]
    return StoredInstance(
        archive_id=instance["ID"],
        sop_instance_uid=tags.get("SOPInstanceUID", ""),
        instance_number=_integer(tags.get("InstanceNumber", "")),
        number_of_frames=max(1, _integer(tags.get("NumberOfFrames", "")) or 1),
        size_bytes=int(instance["FileSize"]),
        position_mm=position_mm(
            _numbers(tags.get("ImagePositionPatient", "")), _numbers(tags.get("ImageOrientationPatient", ""))
        ),
        series_archive_id=instance.get("ParentSeries", ""),
    )


def fingerprint(instances: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the instances and their stored files: Orthanc names each file it writes anew."""
    files = sorted(f"{i['MainDicomTags'].get('SOPInstanceUID', '')} {i['FileUuid']}" for i in instances)
    return hashlib.sha256("\n".join(files).encode()).hexdigest()


def _revision(series: Mapping[str, Any]) -> str:
    """What a listing can tell apart.

    LastUpdate counts in seconds: an instance replaced within the second in which its series was listed
    would go unseen. Such a series is not stable yet, so its being stable is part of its revision.
    """
    parts = [series.get("LastUpdate", ""), str(series.get("IsStable", "")), *sorted(series["Instances"])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _integer(text: str) -> int | None:
    with contextlib.suppress(ValueError):
        return int(text[:32])
    return None


def _numbers(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        return tuple(float(number) for number in text.split("\\"))
    return ()
