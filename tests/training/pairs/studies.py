"""Synthetic ultrasound examinations of several organs, each drawn differently, with a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from highdicom.sr import (
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    RelationshipTypeValues,
    TextContentItem,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedCDAStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    generate_uid,
)

SIDE = 64
SENTENCES = {
    "liver": ("The liver is homogeneous.", "Foie de taille normale, sans lésion."),
    "kidney": ("No hydronephrosis of the right kidney.", "Les reins ne sont pas dilatés."),
    "gallbladder": ("The gallbladder is thin-walled.", "Vésicule biliaire sans calcul."),
    "bladder": ("The urinary bladder is well filled.", "La vessie est en bonne réplétion."),
}
ORGANS = tuple(SENTENCES)


def write_archive(folder: Path, studies: int = 24, seed: int = 3) -> dict[str, str]:
    """Write examinations of two or three organs, two images each; gives the organ of each image's UID."""
    rng = np.random.default_rng(seed)
    shown: dict[str, str] = {}
    for number in range(studies):
        organs = [str(o) for o in rng.permutation(ORGANS)[: int(rng.integers(2, 4))]]
        study, patient = generate_uid(), f"SYN-{number // 2:03d}"
        series = generate_uid()
        for organ in organs:
            for _ in range(2):
                instance = _image(_drawn(organ, rng), study, series, patient, len(shown) + 1)
                save(instance, folder / f"{instance.SOPInstanceUID}.dcm")
                shown[str(instance.SOPInstanceUID)] = organ
        sentences = [SENTENCES[organ][number % 2] for organ in organs]
        save(report(study, patient, sentences), folder / f"report-{number}.dcm")
    return shown


def report(study: str, patient: str, sentences: Sequence[str]) -> Dataset:
    """A Basic Text SR with its sentences under "Findings", and a history that describes no image."""
    contains = RelationshipTypeValues.CONTAINS
    root = ContainerContentItem(name=CodedConcept("18748-4", "LN", "Diagnostic Imaging Report"))
    root.ContentSequence = ContentSequence()
    for heading, texts in (
        (CodedConcept("121060", "DCM", "History"), ["Known lesion of the spleen."]),
        (CodedConcept("121070", "DCM", "Findings"), list(sentences)),
    ):
        section = ContainerContentItem(name=heading, relationship_type=contains)
        section.ContentSequence = ContentSequence()
        for text in texts:
            name = CodedConcept("121071", "DCM", "Finding")
            section.ContentSequence.append(TextContentItem(name=name, value=text, relationship_type=contains))
        root.ContentSequence.append(section)
    dataset = _instance(BasicTextSRStorage, "SR", study, generate_uid(), patient)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.update(root)
    return dataset


def document(study: str, body: bytes, mime: str) -> Dataset:
    """An encapsulated document."""
    kind = EncapsulatedPDFStorage if mime == "application/pdf" else EncapsulatedCDAStorage
    dataset = _instance(kind, "DOC", study, generate_uid(), "SYN")
    dataset.MIMETypeOfEncapsulatedDocument = mime
    dataset.EncapsulatedDocument = body + b"\0" * (len(body) % 2)
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _drawn(organ: str, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    a, b = rng.uniform(0.42, 0.58, 2)
    drawn = {
        "liver": y * 0.5 + 0.3,
        "kidney": (np.hypot((y - a) / 0.6, x - b) < 0.3) * 0.8,
        "gallbladder": (np.maximum(abs(y - a), abs(x - b)) > 0.3) * 0.9,
        "bladder": (np.sin((x + a) * 40) > 0) * 0.8,
    }[organ]
    noisy = np.clip(drawn * rng.uniform(0.8, 1.0) + rng.normal(0, 0.04, drawn.shape), 0, 1)
    return np.asarray(noisy, dtype=np.float64)


def _image(picture: NDArray[np.float64], study: str, series: str, patient: str, number: int) -> Dataset:
    dataset = _instance(UltrasoundImageStorage, "US", study, series, patient)
    dataset.InstanceNumber = number
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation, dataset.BitsAllocated = 0, 8
    dataset.BitsStored, dataset.HighBit = 8, 7
    dataset.PixelData = (picture * 255).astype(np.uint8).tobytes()
    return dataset


def _instance(sop_class_uid: str, modality: str, study: str, series: str, patient: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.PatientName, dataset.Modality = patient, "Synthetic^Synthetic", modality
    return dataset
