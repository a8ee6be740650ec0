"""DICOM files made for one test: whole ones, odd ones and hostile ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = "1.2.826.0.1.3680043.8.498.1.1"


def ramp(rows: int = 16, columns: int = 16, kind: str = "u2") -> NDArray[Any]:
    """Values 0, 1, 2, … row by row."""
    return np.arange(rows * columns, dtype=kind).reshape(rows, columns)


def instance(pixels: NDArray[Any] | None = None, /, **elements: Any) -> Dataset:  # noqa: ANN401
    """A small image; `elements` are DICOM keywords that replace or, with None, remove the usual ones.

    Args:
        pixels: (rows, columns), (frames, rows, columns) or (rows, columns, 3), unsigned or signed.
        elements: of the data set.
    """
    values = ramp() if pixels is None else pixels
    colour = values.ndim == 3 and values.shape[-1] == 3
    frames = values.shape[0] if values.ndim == 3 and not colour else 1
    rows, columns = values.shape[:2] if colour else values.shape[-2:]
    dataset = Dataset()
    usual: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "Modality": "OT",
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": values.dtype.itemsize * 8,
        "BitsStored": values.dtype.itemsize * 8,
        "HighBit": values.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
    }
    if colour:
        usual["PlanarConfiguration"] = 0
    if frames > 1:
        usual["NumberOfFrames"] = frames
    for keyword, value in {**usual, **elements}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" not in elements:
        dataset.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    return dataset


def write(dataset: Dataset, path: Path, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Path:
    """Write a DICOM file with preamble and file meta information."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "") or generate_uid()
    dataset["PixelData"].VR = "OB" if dataset.get("BitsAllocated", 16) <= 8 else "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path
