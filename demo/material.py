"""What the demonstration archives, and what it asks about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydicom.data
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from demo.families import write_studies

PER_FAMILY = 9
EXAMPLE_FAMILY = "brain-mr"


@dataclass(frozen=True, slots=True)
class Material:
    """Files to archive, and the files of one study to ask about.

    `family_of` names the family of a study by its UID where it is known; `family` is the example's, and
    empty where there is none to know.
    """

    archived: tuple[Path, ...]
    example: tuple[Path, ...]
    example_is: str
    family: str = ""
    family_of: Mapping[str, str] = field(default_factory=dict)


def built_in(folder: Path) -> Material:
    """The real images inside the pydicom package, and synthetic studies; the example is archived nowhere."""
    real = tuple(sorted(_images_of_pydicom()))
    studies = list(write_studies(folder, per_family=PER_FAMILY + 1))
    last = {study.family: study for study in studies}
    kept = [study for study in studies if study is not last[study.family]]
    asked = last[EXAMPLE_FAMILY]
    return Material(
        archived=(*real, *(path for study in kept for path in study.paths)),
        example=asked.paths,
        example_is=f"a synthetic {asked.family} study that the archive does not hold",
        family=asked.family,
        family_of={study.study_instance_uid: study.family for study in studies},
    )


def of_folder(folder: Path) -> Material:
    """Every DICOM file of a folder; the study that comes first is asked about as well.

    Raises:
        ValueError: there is no study with an image in it.
    """
    studies: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        study = _study_with_pixels(path)
        if study:
            studies[study].append(path)
    if not studies:
        raise ValueError(f"{folder} holds no DICOM study with images: name another folder with DATA=folder.")
    first = min(studies)
    return Material(
        archived=tuple(path for paths in studies.values() for path in paths),
        example=tuple(studies[first]),
        example_is="the study that comes first in the folder",
    )


def _images_of_pydicom() -> list[Path]:
    """The test images that are inside the package; nothing is downloaded."""
    inside = Path(pydicom.data.__file__).parent / "test_files"
    return [path for path in inside.rglob("*.dcm") if _study_with_pixels(path)]


def _study_with_pixels(path: Path) -> str:
    """The Study Instance UID of a file that has Rows, else empty."""
    try:
        header = dcmread(path, specific_tags=["StudyInstanceUID", "Rows"], stop_before_pixels=True)
    except (InvalidDicomError, OSError, ValueError, AttributeError, NotImplementedError, EOFError):
        return ""
    return str(header.get("StudyInstanceUID", "")) if "Rows" in header else ""
