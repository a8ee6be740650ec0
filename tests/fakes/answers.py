"""DICOM files to ask with, and answers such as a search gives, for tests that need no encoder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from indexer.answers.example import read_example
from indexer.domain import (
    Answer,
    EncoderVersion,
    FrameReference,
    Match,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
)

ENCODER = EncoderVersion(name="grey32", sha256="ab" * 32, dimension=2)
PATIENT_NAME = "Nightingale^Florence"
PATIENT_ID = "PID-4711"


def uid(*parts: str) -> str:
    """The same UID for the same parts."""
    return str(generate_uid(entropy_srcs=["tests", *parts]))


def instance(study: str, series: str = "1", number: int = 1, **attributes: object) -> Dataset:
    """A small CT instance; keyword arguments replace attributes, None deletes one."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid(study, series, str(number))
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(study, series)
    dataset.Modality, dataset.Manufacturer = "CT", "Scanner"
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
    dataset.PatientBirthDate, dataset.PatientSex = "18200512", "F"
    dataset.StudyDate, dataset.StudyTime = "20240131", "101112.5"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "A1", "S1", "Ref^Doc"
    dataset.InstanceNumber, dataset.SeriesNumber = number, 1
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.arange(16, dtype="<u2").tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def write(folder: Path, *datasets: Dataset) -> tuple[Path, ...]:
    """Write DICOM files, one a dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in datasets:
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def answer_about(
    paths: tuple[Path, ...], *, matches: int = 3, frames: Mapping[int, int] | None = None
) -> Answer:
    """An answer about DICOM files; match n is study uid("prior", n), and `frames[n]` its frame number."""
    asked = [i for i in read_example(paths).instances if not i.is_report]
    first = asked[0]
    series = SeriesReference(first.study_instance_uid, first.series_instance_uid, "example")
    own = tuple(FrameReference(i.sop_class_uid, i.sop_instance_uid, 1) for i in asked)
    rows = np.tile(np.array([1.0, 0.0], dtype=np.float32), (len(own), 1))
    embedding = SeriesEmbedding(series, SeriesAttributes("CT"), ENCODER, own, rows[0], rows)
    return Answer(
        example=(embedding,),
        encoder=ENCODER,
        matches=tuple(prior(rank, embedding, (frames or {}).get(rank, 1)) for rank in range(1, matches + 1)),
        took_ms=1.0,
    )


def prior(rank: int, example: SeriesEmbedding, frame_number: int = 1) -> Match:
    """The match of one rank: CT, or an enhanced CT where the frame is not the first."""
    enhanced = "1.2.840.10008.5.1.4.1.1.2.1"
    return Match(
        rank=rank,
        score=1 - rank / 10,
        reference=SeriesReference(
            uid("prior", str(rank)), uid("prior", str(rank), "series"), f"prior-{rank}"
        ),
        attributes=SeriesAttributes("CT", "HEAD", date(2020, 1, rank), patient="pseudonym"),
        frame=FrameReference(
            enhanced if frame_number > 1 else str(CTImageStorage),
            uid("prior", str(rank), "instance"),
            frame_number,
        ),
        answers=example.reference,
        example_frame=example.frames[(rank - 1) % len(example.frames)],
        encoder=ENCODER,
    )
