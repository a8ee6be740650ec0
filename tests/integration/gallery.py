"""What the pictures of the page show: synthetic studies, two of them as earlier ones of one patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

EARLIER = ("20120611", "20130304")


@dataclass(frozen=True)
class Gallery:
    """Files by study that are archived besides, and the studies that the pictures are of."""

    files: Mapping[str, Sequence[Path]]
    brain: str
    chest: str
    new_chest: tuple[Path, ...]


def gallery(folder: Path, brain: Sequence[Path], chests: Sequence[Sequence[Path]]) -> Gallery:
    """The last chest is kept back, and two others are earlier studies of the first one's patient."""
    *archived, new = chests
    earlier = [
        _of_another_day(paths, archived[0], day, folder)
        for paths, day in zip(archived[1:3], EARLIER, strict=True)
    ]
    return Gallery(
        files={_study(paths): paths for paths in earlier},
        brain=_study(brain),
        chest=_study(archived[0]),
        new_chest=tuple(new),
    )


def series_of(files: Mapping[str, Sequence[Path]]) -> int:
    """How many series these files make."""
    return len({_header(path).SeriesInstanceUID for paths in files.values() for path in paths})


def _of_another_day(paths: Sequence[Path], like: Sequence[Path], day: str, folder: Path) -> tuple[Path, ...]:
    """A study as if it were an earlier one of the patient of another."""
    written = []
    patient = _header(like[0]).PatientID
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
