"""What a question may filter on, out of a header."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydicom.dataset import Dataset

from indexer.codes import body_part_code, modality_code
from inference.acquisition import plane_of, sequence_of
from inference.reading import text_of


@dataclass(frozen=True, slots=True)
class HeaderAttributes:
    """What the index wants to know of an instance; `issuer` and `patient_id` never leave memory.

    `sequence` and `plane` are words of `inference.acquisition`, empty where they are not known.
    """

    modality: str
    body_part_examined: str
    study_date: date | None
    issuer: str
    patient_id: str
    sequence: str = ""
    plane: str = ""


def attributes_of(header: Dataset) -> HeaderAttributes:
    """Modality, body part, study date, patient and acquisition, as far as they are what they should be."""
    modality = modality_code(text_of(header, "Modality"))
    return HeaderAttributes(
        modality=modality,
        body_part_examined=body_part_code(text_of(header, "BodyPartExamined")),
        study_date=_date(header, "StudyDate"),
        issuer=text_of(header, "IssuerOfPatientID"),
        patient_id=text_of(header, "PatientID"),
        sequence=sequence_of(header, modality),
        plane=plane_of(header, modality),
    )


def _date(header: Dataset, keyword: str) -> date | None:
    digits = text_of(header, keyword).replace(".", "").replace("-", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None
