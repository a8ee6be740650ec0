"""What the pictures of the page show: synthetic studies, some as of another day or another patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

EARLIER = ("20120611", "20130304")


@dataclass(frozen=True)
class Gallery:
    """Files by study that are archived besides, and the studies that the pictures are of."""

    files: Mapping[str, Sequence[Path]]
    brain: str
    chest: str
    spine: str
    new_chest: tuple[Path, ...]


def gallery(
    folder: Path, brain: Sequence[Path], spine: Sequence[Path], chests: Sequence[Sequence[Path]]
) -> Gallery:
    """The last chest is kept back, and two others are earlier studies of the first one's patient.

    The spine is archived a second time, of another day and under another patient id.
    """
    *archived, new = chests
    patient = _header(archived[0][0]).PatientID
    others = [_copied(paths, patient, day, folder) for paths, day in zip(archived[1:3], EARLIER, strict=True)]
    others.append(_copied(spine, "SYN-ANOTHER-ID", EARLIER[0], folder))
    return Gallery(
        files={_study(paths): paths for paths in others},
        brain=_study(brain),
        chest=_study(archived[0]),
        spine=_study(spine),
        new_chest=tuple(new),
    )


def series_of(files: Mapping[str, Sequence[Path]]) -> int:
    """How many series these files make."""
    return len({_header(path).SeriesInstanceUID for paths in files.values() for path in paths})


def of_three_series(folder: Path, study: Sequence[Path], more: Sequence[Path]) -> tuple[Path, ...]:
    """A study with one more series: another study's."""
    first, written = _header(study[0]), []
    for path in more:
        dataset = dcmread(path)
        dataset.StudyInstanceUID, dataset.PatientID = first.StudyInstanceUID, first.PatientID
        dataset.save_as(folder / f"more-{path.name}")
        written.append(folder / f"more-{path.name}")
    return (*study, *written)


def lower_by(rows: int, paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """The same study taken with the patient lower by so many rows."""
    written = []
    for path in paths:
        dataset = dcmread(path)
        moved = np.roll(dataset.pixel_array, rows, axis=0)
        moved[:rows] = 0
        dataset.PixelData = moved.tobytes()
        dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm")
        written.append(folder / f"{dataset.SOPInstanceUID}.dcm")
    return tuple(written)


def _copied(paths: Sequence[Path], patient: str, day: str, folder: Path) -> tuple[Path, ...]:
    """A study as if it were another one, of this patient and day."""
    written = []
    for path in paths:
        dataset = dcmread(path)
        dataset.PatientID, dataset.StudyDate = patient, day
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(dataset, keyword, generate_uid(entropy_srcs=[day, str(dataset[keyword].value)]))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        target = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(target)
        written.append(target)
    return tuple(written)


def _study(paths: Sequence[Path]) -> str:
    return str(_header(paths[0]).StudyInstanceUID)


def _header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True)
