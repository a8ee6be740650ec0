"""What must become of every file of the wild folder, from what is known of the files and not of us.

`manifest.csv` says what each file is and whether pydicom decodes it; pydicom tells its UIDs and whether its
frames show anything. The tables below say the rest in words.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

NOT_DICOM = "not_dicom"
NO_UIDS = "no_uids"
IMAGE = "image"
BLANK = "blank_frame"
NO_PIXELS = "no_pixel_data"

NO_IMAGES: Mapping[str, str] = {
    "Segmentation Storage": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "RT Dose Storage": "dose_grid",
    "RT Image Storage": "rt_image",
    "RT Plan Storage": "treatment_plan",
    "RT Ion Plan Storage": "treatment_plan",
    "RT Structure Set Storage": "structure_set",
    "Parametric Map Storage": "parametric_map",
    "Basic Text SR Storage": "report",
    "Comprehensive SR Storage": "report",
    "Comprehensive 3D SR Storage": "report",
    "Real World Value Mapping Storage": "real_world_value_mapping",
    "Microscopy Bulk Simple Annotations Storage": "annotations",
    "Encapsulated PDF Storage": "encapsulated_document",
    "Color Palette Storage": "color_palette",
}
"""SOP class (its name, or its UID where it has none) to the reason why it is no clinical image."""

DAMAGED: Mapping[str, str] = {
    "derived/jpeg_frame_truncated.dcm": "truncated_pixel_data",
    "derived/no_bits.dcm": "invalid_header",
    "derived/no_photometric.dcm": "invalid_header",
    "derived/rows_doubled.dcm": "truncated_pixel_data",
    "derived/rows_zero.dcm": "invalid_header",
    "derived/truncated_pixels.dcm": "truncated_pixel_data",
    "derived/truncated_header.dcm": "truncated_header",
    "files/dwv__dwv-test_no-number-rows.dcm": "invalid_header",
    "files/fo-dicom__GH1146.dcm": NO_PIXELS,
    "files/fo-dicom__genFile.dcm": "undecodable_pixel_data",
    "files/mercure__test_dcm": "truncated_pixel_data",
    "files/pydicom__JPEG2000-embedded-sequence-delimiter.dcm": "too_large",
}
"""What no decoder can make a picture of, and why."""

READ_ALL_THE_SAME = (
    "derived/frames_lie.dcm",
    "derived/no_preamble_no_meta.dcm",
    "files/cornerstone3D__CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
    "files/dtf__RG3_JPLY",
    "files/pydicom-data__OT-PAL-8-face.dcm",
)
"""What pydicom does not decode, in whole or at all, and we do."""


ABOUT_PATIENTS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "SeriesDescription",
    "InstitutionName",
    "ReferringPhysicianName",
    "StationName",
)


@dataclass(frozen=True, slots=True)
class WildFile:
    """One file: what it is (`kind`), and its UIDs where it has all three (PS3.5 9.1)."""

    path: str
    kind: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What must become of a series: its state, why it is not indexed, and the instances that are embedded."""

    state: str
    reasons: frozenset[str]
    embedded: frozenset[str]


def wild_files(wild: Path) -> list[WildFile]:
    """Every file of the manifest, in the order of the paths."""
    with (wild / "manifest.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_wild_file(wild, row) for row in rows]


def fate_of(files: Iterable[WildFile]) -> Fate:
    """The fate of a series of these files, the first of those with the same SOP Instance UID counting."""
    first: dict[str, WildFile] = {}
    for file in files:
        first.setdefault(file.sop_instance_uid, file)
    embedded = frozenset(uid for uid, file in first.items() if file.kind == IMAGE)
    if embedded:
        return Fate("indexed", frozenset(), embedded)
    counts = Counter(file.kind for file in first.values())
    reasons = frozenset(kind for kind, count in counts.items() if count == max(counts.values()))
    skipped = reasons <= {*NO_IMAGES.values(), BLANK, NO_PIXELS}
    return Fate("skipped" if skipped else "failed", reasons, embedded)


def words_about_patients(wild: Path, files: Iterable[WildFile]) -> set[str]:
    """Names, ids and free text of the files, as far as they could not be a part of something else."""
    words = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            if file.kind == NOT_DICOM:
                continue
            dataset = pydicom.dcmread(wild / file.path, stop_before_pixels=True, force=True)
            words |= {str(dataset.get(keyword) or "") for keyword in ABOUT_PATIENTS}
    return {word for word in words if len(word) > 4 and re.search("[A-Za-z]", word)}


def _wild_file(wild: Path, row: Mapping[str, str]) -> WildFile:
    path = row["path"]
    if row["decode"] == "not DICOM" or "DICOMDIR" in path:
        return WildFile(path, NOT_DICOM)
    dataset = pydicom.dcmread(wild / path, force=True)
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    uids = [str(dataset.get(keyword) or "") for keyword in keywords]
    if not all(re.fullmatch("[0-9.]{1,64}", uid) for uid in uids):
        return WildFile(path, NO_UIDS)
    return WildFile(path, _kind(row, dataset), *uids)


def _kind(row: Mapping[str, str], dataset: Dataset) -> str:
    path = row["path"]
    if path in DAMAGED:
        return DAMAGED[path]
    if row["sop_class"] in NO_IMAGES:
        return NO_IMAGES[row["sop_class"]]
    if row["decode"] == "no pixel data":
        return NO_PIXELS
    if path in READ_ALL_THE_SAME:
        return IMAGE
    assert row["decode"] == "ok", f"{path} is in no table"
    return IMAGE if _shows_something(dataset) else BLANK


def _shows_something(dataset: Dataset) -> bool:
    pixels = dataset.pixel_array
    frames = pixels if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels[None]
    return any(np.ptp(frame) > 0 for frame in frames)
