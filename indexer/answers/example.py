"""The example as its answer needs it: what it is filed under, and which instances it has."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from indexer.answers.identity import is_own_answer
from indexer.elements import read_elements
from indexer.errors import Rejected

REPORT_MODALITIES: Final = frozenset({"SR", "KO", "PR"})
ENCAPSULATED_TEXTS: Final = frozenset(("1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"))
"""Encapsulated PDF and CDA, of any modality (PS3.3 C.24.1: often that of the images)."""
_WITHOUT_WORDS: Final = frozenset({"KO", "PR"})

# Type 1 and 2 of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1): written even when empty.
_ALWAYS: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_WHERE_KNOWN: Final = (
    "IssuerOfPatientID",
    "StudyDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
_IDENTITY: Final = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "Manufacturer",
)
_FORMS: Final = {
    "DA": re.compile(r"(?:\d{8})?"),
    "TM": re.compile(r"(?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?"),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
}
_SEXES: Final = frozenset({"M", "F", "O", ""})
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_UNICODE: Final = "ISO_IR 192"

_Header = Mapping[int, bytes]
"""Values by tag, as bytes without padding."""


@dataclass(frozen=True, slots=True)
class ExampleInstance:
    """One instance that was sent as an example, or beside one."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    manufacturer: str

    @property
    def is_report(self) -> bool:
        """A report, key object or presentation state: nothing to look at."""
        return self.modality in REPORT_MODALITIES or self.sop_class_uid in ENCAPSULATED_TEXTS

    @property
    def may_tell(self) -> bool:
        """A report of others, which may say in words what is seen."""
        return self.is_report and self.modality not in _WITHOUT_WORDS and not self.is_own_answer

    @property
    def is_own_answer(self) -> bool:
        """An answer of ours that came back."""
        return is_own_answer(self.manufacturer)

    @property
    def is_image(self) -> bool:
        """Something to ask with."""
        return not self.is_report and not self.is_own_answer


@dataclass(frozen=True, slots=True)
class Example:
    """The instances of one study, and `filing`: the Patient and General Study attributes they share.

    `filing` belongs to the patient of the example and goes into the answer as it came; values that no
    reader could take (a birth date that is no date) are left empty.
    """

    filing: Dataset
    instances: tuple[ExampleInstance, ...]

    @property
    def study_date(self) -> date | None:
        """When it was acquired, where a date is known."""
        try:
            return datetime.strptime(str(self.filing.get("StudyDate", "")), "%Y%m%d").date()
        except ValueError:
            return None


def read_example(paths: Sequence[Path]) -> Example:
    """Read the headers of one study's DICOM files; the first file says whom it is filed under.

    Raises:
        Rejected: a file is no DICOM, or lacks a UID.
    """
    instances: list[ExampleInstance] = []
    filing = Dataset()
    for path in paths:
        with path.open("rb") as file:
            header = _header(file, (*_IDENTITY, *_ALWAYS, *_WHERE_KNOWN) if not instances else _IDENTITY)
        if not instances:
            filing = _filing(header)
        instances.append(_instance(header))
    return Example(filing=filing, instances=tuple(instances))


def read_instance(file: BinaryIO) -> ExampleInstance:
    """Read what identifies one DICOM file.

    Raises:
        Rejected: it is no DICOM, or lacks a UID; the message says which.
    """
    return _instance(_header(file, _IDENTITY))


def _header(file: BinaryIO, keywords: Iterable[str]) -> _Header:
    """Elements as they are written; pydicom would build what a hostile file claims, and print values."""
    try:
        header = read_elements(file, [_tag(keyword) for keyword in keywords])
    except Rejected as error:
        raise Rejected(f"This is not a readable DICOM dataset: {error}.", reason="unreadable") from error
    if header is None:
        raise Rejected("This is not DICOM.", reason="unreadable")
    return header


def _instance(header: _Header) -> ExampleInstance:
    return ExampleInstance(
        study_instance_uid=_uid(header, "StudyInstanceUID"),
        series_instance_uid=_uid(header, "SeriesInstanceUID"),
        sop_class_uid=_uid(header, "SOPClassUID"),
        sop_instance_uid=_uid(header, "SOPInstanceUID"),
        modality=_text(header, "Modality", ["ascii"]).upper(),
        manufacturer=_text(header, "Manufacturer", ["ascii"]),
    )


def _uid(header: _Header, keyword: str) -> str:
    text = _text(header, keyword, ["ascii"])
    if len(text) > 64 or not _UID.fullmatch(text):
        raise Rejected(f"{keyword} is missing or is no UID.", reason="unreadable")
    return text


def _filing(header: _Header) -> Dataset:
    declared = [name.strip() for name in _text(header, "SpecificCharacterSet", ["ascii"]).split("\\")]
    encodings = _python_encodings(declared)
    values = {
        keyword: _text(header, keyword, encodings or ["utf-8"]) for keyword in (*_ALWAYS, *_WHERE_KNOWN)
    }
    filing = Dataset()
    character_set = _character_set(declared if encodings else [], values.values())
    if character_set:
        filing.SpecificCharacterSet = character_set
    for keyword, value in values.items():
        if keyword in _ALWAYS or value:
            tag = _tag(keyword)
            vr = dictionary_VR(tag)
            filing.add(DataElement(tag, vr, _readable(keyword, vr, value), validation_mode=config.IGNORE))
    return filing


def _character_set(declared: list[str], values: Iterable[str]) -> str | list[str]:
    """The example's own where it holds; Unicode where undeclared bytes were found; else the default."""
    if any(declared):
        return declared if len(declared) > 1 else declared[0]
    return "" if all(value.isascii() for value in values) else _UNICODE


def _python_encodings(declared: list[str]) -> list[str]:
    """The codecs of (0008,0005); none when pydicom does not know them or had to guess."""
    if not any(declared):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return list(convert_encodings(declared))
        except (UserWarning, LookupError):
            return []


def _text(header: _Header, keyword: str, encodings: list[str]) -> str:
    """The decoded value without its padding; "" where it is missing."""
    return _decoded(header.get(_tag(keyword), b""), encodings).strip("\0 ")


def _decoded(raw: bytes, encodings: list[str]) -> str:
    try:
        if len(encodings) == 1:
            return raw.decode(encodings[0])
        return decode_bytes(raw, encodings, {0x0D, 0x0A, 0x09, 0x0C, 0x5E, 0x3D, 0x5C})
    except (UnicodeError, LookupError):
        return raw.decode("latin-1")


def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - the keywords stand in this file
    return Tag(tag)


def _readable(keyword: str, vr: str, value: str) -> str:
    form = _FORMS.get(vr)
    if form is not None and not form.fullmatch(value):
        return ""
    if keyword == "PatientSex" and value not in _SEXES:
        return ""
    return value
