"""What a listing needs to know of one DICOM file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from indexer.adapters.slice_position import position_mm
from indexer.codes import modality_code, uid_or_empty
from indexer.elements import Malformed, read_elements

_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
_SOP_INSTANCE_UID: Final = 0x00080018
_MODALITY: Final = 0x00080060
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_INSTANCE_NUMBER: Final = 0x00200013
_IMAGE_POSITION_PATIENT: Final = 0x00200032
_IMAGE_ORIENTATION_PATIENT: Final = 0x00200037
_NUMBER_OF_FRAMES: Final = 0x00280008
_WANTED: Final = frozenset(
    (
        _MEDIA_STORAGE_SOP_CLASS_UID,
        _SOP_INSTANCE_UID,
        _MODALITY,
        _STUDY_INSTANCE_UID,
        _SERIES_INSTANCE_UID,
        _INSTANCE_NUMBER,
        _IMAGE_POSITION_PATIENT,
        _IMAGE_ORIENTATION_PATIENT,
        _NUMBER_OF_FRAMES,
    )
)
_DICOMDIR: Final = b"1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Header:
    """One instance as its file describes it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    modality: str
    instance_number: int | None
    number_of_frames: int
    position_mm: float | None

    @property
    def archive_id(self) -> str:
        """The folder archive's name for the series."""
        return f"{self.study_instance_uid}/{self.series_instance_uid}"


@dataclass(frozen=True, slots=True)
class NoHeader:
    """Why a file is no instance: `not_dicom`, `dicomdir`, `no_uids`, `malformed` or `unreadable`."""

    reason: str


def read_header(file: BinaryIO) -> Header | NoHeader:
    """Read the header of a file, DICOM or not; never more than a few kilobytes of it."""
    try:
        values = read_elements(file, _WANTED)
    except Malformed as error:
        return NoHeader(error.reason)
    if values is None:
        return NoHeader("not_dicom")
    if values.get(_MEDIA_STORAGE_SOP_CLASS_UID) == _DICOMDIR:
        return NoHeader("dicomdir")
    text = {tag: value.decode("ascii", errors="replace").strip() for tag, value in values.items()}
    uids = [
        uid_or_empty(text.get(tag, ""))
        for tag in (_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, _SOP_INSTANCE_UID)
    ]
    if not all(uids):
        return NoHeader("no_uids")
    return Header(
        study_instance_uid=uids[0],
        series_instance_uid=uids[1],
        sop_instance_uid=uids[2],
        modality=modality_code(text.get(_MODALITY, "")),
        instance_number=_integer(text.get(_INSTANCE_NUMBER, "")),
        number_of_frames=max(1, _integer(text.get(_NUMBER_OF_FRAMES, "")) or 1),
        position_mm=position_mm(
            _numbers(text.get(_IMAGE_POSITION_PATIENT, "")),
            _numbers(text.get(_IMAGE_ORIENTATION_PATIENT, "")),
        ),
    )


def _integer(text: str) -> int | None:
    with contextlib.suppress(ValueError):
        return int(text[:32])
    return None


def _numbers(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        return tuple(float(number) for number in text.split("\\"))
    return ()
