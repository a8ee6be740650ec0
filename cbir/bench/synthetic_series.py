"""Synthetic series to index: CT-like, uncompressed and JPEG 2000, and radiographs of a single frame.

Every series of a kind has the same pixels under its own UIDs: what a stage costs does not depend on
what the picture shows, and a compressed kind would otherwise take minutes to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

Stored = NDArray[np.uint16]
SEED: Final = 11
CT_SIDE: Final = 512
CT_INSTANCES: Final = 40
RADIOGRAPH_SIDE: Final = 2048
RADIOGRAPHS_A_SERIES: Final = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of series.

    `times` multiplies how many series are asked for: a radiograph is one frame, a CT many.
    """

    name: str
    sop_class_uid: str
    modality: str
    side: int
    instances: int
    compressed: bool = False
    times: int = 1

    @property
    def series_bytes(self) -> int:
        """Bytes of one series, at most."""
        return self.instances * (self.side * self.side * 2 + 8192)


KINDS: Final = (
    Kind("CT 512x512, uncompressed", CTImageStorage, "CT", CT_SIDE, CT_INSTANCES),
    Kind("CT 512x512, JPEG 2000 lossless", CTImageStorage, "CT", CT_SIDE, CT_INSTANCES, compressed=True),
    Kind(
        "DX 2048x2048, one frame", DigitalXRayImageStorageForPresentation, "DX", RADIOGRAPH_SIDE, 1, times=4
    ),
)


def write_series(folder: Path, kind: Kind, series: int, told: Callable[[int], None]) -> None:
    """Write `series` times `kind.times` series, a folder each; `told` hears of each that is done."""
    encoded = [_with_pixels(kind, level) for level in np.linspace(0, 1, kind.instances)]
    for number in range(series * kind.times):
        into = folder / f"{number:05d}"
        into.mkdir(parents=True)
        for index, dataset in enumerate(encoded):
            _name(dataset, kind, number, index)
            dataset.save_as(into / f"{index + 1:03d}.dcm", enforce_file_format=True)
        told(1)


def _with_pixels(kind: Kind, level: float) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality = kind.sop_class_uid, kind.modality
    dataset.SOPInstanceUID = _uid(kind.name, "pixels")
    dataset.Rows = dataset.Columns = kind.side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    if kind.modality == "CT":
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 1, "HU"
        dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.PixelData = _body(kind.side, level).tobytes()
    if kind.compressed:
        dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return dataset


def _body(side: int, level: float) -> Stored:
    """An ellipse of soft tissue with brighter and darker parts, in air, with noise: it compresses like CT."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    hu = np.full((side, side), -1000.0, dtype=np.float32)
    for centre_y, centre_x, radius_y, radius_x, value in _parts(level):
        hu[((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2 < 1] = value
    rng = np.random.default_rng([SEED, round(level * 1000)])
    hu += rng.normal(0, 12, hu.shape).astype(np.float32)
    return np.clip(hu + 1024, 0, 4095).astype("<u2")


def _parts(level: float) -> Iterator[tuple[float, float, float, float, float]]:
    yield 0.0, 0.0, 0.7, 0.92, 45.0
    yield -0.1, -0.45, 0.45 - 0.2 * level, 0.36, 70.0
    yield 0.3, 0.42, 0.15 + 0.05 * level, 0.1, 180.0
    yield 0.45, 0.0, 0.13, 0.13, 600.0
    yield -0.3, 0.35, 0.12, 0.2 * (0.4 + level), -700.0


def _name(dataset: Dataset, kind: Kind, number: int, index: int) -> None:
    dataset.StudyInstanceUID = _uid(kind.name, str(number), "study")
    dataset.SeriesInstanceUID = _uid(kind.name, str(number), "series")
    dataset.SOPInstanceUID = _uid(kind.name, str(number), str(index))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientID, dataset.PatientName = f"SYN-{number:05d}", f"Synthetic^{number:05d}"
    dataset.StudyDate, dataset.BodyPartExamined = "20200115", "ABDOMEN"
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = [0.0, 0.0, float(index * 5)]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelSpacing = [0.8, 0.8]


def _uid(*parts: str) -> str:
    return str(generate_uid(entropy_srcs=["pacs-cbir-bench", str(SEED), *parts]))
