"""Synthetic DICOM studies in a few families that a person would call alike, made without any data set.

Each family is a drawing with anatomy-like parts whose sizes, places, brightness and noise vary from
study to study, so that two studies of one family are alike and never equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)

Picture = NDArray[np.float64]
SIDE = 192


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of study: its DICOM attributes and how one frame is drawn.

    `draw(rng, level)` gives float64 (SIDE, SIDE) in [0, 1]; `level` in [0, 1] runs along the series.
    `series` names the sequences of a study, `frames` is the number of instances a series.
    """

    name: str
    modality: str
    body_part_examined: str
    sop_class_uid: str
    series: tuple[str, ...]
    frames: int
    draw: Callable[[np.random.Generator, float, str], Picture]


@dataclass(frozen=True, slots=True)
class WrittenStudy:
    """A study on disk."""

    family: str
    study_instance_uid: str
    paths: tuple[Path, ...]


def _grid() -> tuple[Picture, Picture]:
    axis = np.linspace(-1, 1, SIDE)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def _ellipse(centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> Picture:
    """1 inside, 0 outside, with a soft edge; centre and radii are (y, x) in [-1, 1]."""
    y, x = _grid()
    y, x = y - centre[0], x - centre[1]
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    distance = np.sqrt((along / radii[0]) ** 2 + (across / radii[1]) ** 2)
    soft: Picture = 1 / (1 + np.exp(np.clip((distance - 1) * 40, -60, 60)))
    return soft


def _finished(rng: np.random.Generator, picture: Picture, noise: float) -> Picture:
    """Shift by a few pixels, add noise, and keep to [0, 1]."""
    shift = tuple(int(v) for v in rng.integers(-4, 5, size=2))
    noisy = np.roll(picture, shift, axis=(0, 1)) + rng.normal(0, noise, picture.shape)
    kept: Picture = np.clip(noisy, 0, 1)
    return kept


def _brain(rng: np.random.Generator, level: float, sequence: str) -> Picture:
    size = 1 - 0.5 * (level - 0.5) ** 2 * 4 * 0.4
    vary = rng.uniform(0.95, 1.05, size=4)
    skull = _ellipse((0, 0), (0.88 * size * vary[0], 0.7 * size * vary[1]))
    inside = _ellipse((0, 0), (0.8 * size * vary[0], 0.62 * size * vary[1]))
    ventricle = _ellipse((-0.05, -0.12), (0.28 * vary[2], 0.08), 0.2)
    ventricle = ventricle + _ellipse((-0.05, 0.12), (0.28 * vary[2], 0.08), -0.2)
    fluid, tissue, bone = {"T1": (0.15, 0.55, 0.8), "T2": (0.95, 0.45, 0.3)}.get(sequence, (0.1, 0.5, 0.6))
    picture = skull * bone + inside * (tissue - bone) + ventricle * (fluid - tissue) * inside
    return _finished(rng, picture, 0.03)


def _abdomen(rng: np.random.Generator, level: float, _sequence: str) -> Picture:
    vary = rng.uniform(0.92, 1.08, size=5)
    body = _ellipse((0, 0), (0.66 * vary[0], 0.9 * vary[1]))
    liver = _ellipse((-0.1, -0.42), (0.42 * vary[2] * (1.1 - 0.5 * level), 0.36 * vary[2]), 0.3)
    spine = _ellipse((0.42, 0), (0.14, 0.14))
    kidneys = _ellipse((0.25, -0.42), (0.18, 0.1 * vary[3])) + _ellipse((0.25, 0.42), (0.18, 0.1 * vary[3]))
    gas = _ellipse((-0.32, 0.3), (0.12 * vary[4], 0.2))
    picture = 0.4 * body + 0.2 * liver + 0.55 * spine + 0.25 * kidneys * level - 0.35 * gas
    return _finished(rng, picture, 0.03)


def _chest(rng: np.random.Generator, _level: float, _sequence: str) -> Picture:
    vary = rng.uniform(0.92, 1.08, size=4)
    body = _ellipse((0.15, 0), (1.1, 0.9))
    lungs = _ellipse((-0.05, -0.4), (0.62 * vary[0], 0.28 * vary[1]), 0.08)
    lungs = lungs + _ellipse((-0.05, 0.4), (0.62 * vary[0], 0.28 * vary[2]), -0.08)
    heart = _ellipse((0.3, 0.12), (0.3, 0.26 * vary[3]), -0.4)
    y, _x = _grid()
    ribs = 0.05 * (np.sin(y * 28 + rng.uniform(0, 1)) > 0.3) * lungs
    return _finished(rng, 0.75 * body - 0.55 * lungs + 0.3 * heart + ribs, 0.02)


def _ultrasound(rng: np.random.Generator, _level: float, _sequence: str) -> Picture:
    y, x = _grid()
    depth, angle = np.hypot(y + 1.15, x), np.arctan2(x, y + 1.15)
    fan = ((np.abs(angle) < 0.62) & (depth > 0.3) & (depth < 2.05)).astype(np.float64)
    speckle = rng.rayleigh(0.28, size=(SIDE, SIDE)) * np.exp(-0.45 * depth)
    cyst = _ellipse((0.1 + rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06)), (0.26, 0.32))
    picture: Picture = np.clip((speckle + 0.28) * (1 - 0.85 * cyst) * fan, 0, 1)
    return picture


def _spine(rng: np.random.Generator, level: float, _sequence: str) -> Picture:
    picture = 0.28 * _ellipse((0, 0), (1.2, 0.62 + 0.05 * rng.uniform(-1, 1)))
    bend = rng.uniform(0.08, 0.16)
    for step in range(7):
        y = -0.85 + step * 0.28
        picture = picture + 0.5 * _ellipse((y, bend * np.sin(y * 2.2)), (0.1, 0.16 - 0.03 * abs(level - 0.5)))
    cord = _ellipse((0, 0.27 + bend * 0.3), (1.0, 0.05))
    return _finished(rng, picture + 0.3 * cord, 0.03)


FAMILIES = (
    Family("brain-mr", "MR", "BRAIN", MRImageStorage, ("T1", "T2"), 6, _brain),
    Family("abdomen-ct", "CT", "ABDOMEN", CTImageStorage, ("PORTAL VENOUS",), 8, _abdomen),
    Family("chest-cr", "CR", "CHEST", ComputedRadiographyImageStorage, ("PA",), 1, _chest),
    Family("breast-us", "US", "BREAST", UltrasoundImageStorage, ("B MODE",), 3, _ultrasound),
    Family("spine-mr", "MR", "LSPINE", MRImageStorage, ("T1",), 5, _spine),
)


def write_studies(
    into: Path, *, per_family: int = 9, families: tuple[Family, ...] = FAMILIES, seed: int = 7
) -> Iterator[WrittenStudy]:
    """Write `per_family` studies of each family under `into`, one folder a study.

    The same seed gives the same UIDs and pixels. Every file says in ImageComments that it is synthetic.
    """
    for family in families:
        for number in range(per_family):
            yield _write_study(into, family, number, seed)


def _write_study(into: Path, family: Family, number: int, seed: int) -> WrittenStudy:
    entropy = hashlib.sha256(f"{seed}/{family.name}/{number}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(entropy, dtype=np.uint32))
    study_uid = _uid(seed, family.name, str(number))
    folder = into / family.name / f"{number:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for series_number, sequence in enumerate(family.series, start=1):
        for index in range(family.frames):
            level = index / max(family.frames - 1, 1)
            dataset = _instance(family, seed, number, sequence, index, family.draw(rng, level, sequence))
            dataset.StudyInstanceUID = study_uid
            dataset.SeriesNumber = series_number
            path = folder / f"{series_number:02d}-{index + 1:03d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    return WrittenStudy(family.name, study_uid, tuple(paths))


def _instance(family: Family, seed: int, number: int, sequence: str, index: int, picture: Picture) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = family.sop_class_uid
    dataset.SOPInstanceUID = _uid(seed, family.name, str(number), sequence, str(index))
    dataset.SeriesInstanceUID = _uid(seed, family.name, str(number), sequence)
    dataset.FrameOfReferenceUID = _uid(seed, family.name, str(number), "frame of reference")
    dataset.PatientID = f"SYN-{family.name}-{number:03d}"
    dataset.PatientName = f"Synthetic^{family.name}^{number:03d}"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.StudyID, dataset.StudyTime = str(number + 1), "120000"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = f"{2015 + number % 10}0{1 + number % 9}15"
    dataset.StudyDescription, dataset.SeriesDescription = f"Synthetic {family.name}", sequence
    dataset.Modality, dataset.BodyPartExamined = family.modality, family.body_part_examined
    dataset.Manufacturer, dataset.ImageComments = "synthetic", "Synthetic drawing, no patient"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.InstanceNumber = index + 1
    dataset.PatientPosition = "HFS"
    if family.modality in ("CT", "MR"):
        dataset.ImagePositionPatient = [0.0, 0.0, float(index * 5)]
        dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        dataset.PixelSpacing, dataset.SliceThickness = [1.0, 1.0], 5.0
    _put_pixels(dataset, family.modality, picture)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _put_pixels(dataset: Dataset, modality: str, picture: Picture) -> None:
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = 0
    if modality == "US":
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = np.rint(picture * 255).astype(np.uint8).tobytes()
        return
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = np.rint(picture * 4095).astype("<u2").tobytes()
    if modality == "CT":
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 0.5, "HU"
        dataset.WindowCenter, dataset.WindowWidth = 0, 2048
    else:
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096


def _uid(seed: int, *parts: str) -> str:
    return str(generate_uid(entropy_srcs=["pacs-cbir-demo", str(seed), *parts]))
