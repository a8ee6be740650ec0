"""The contact sheet as a DICOM instance: a Secondary Capture image, filed in the example's own study."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from indexer.answers.asked_words import is_by_likeness_alone
from indexer.answers.concepts import SOURCE
from indexer.answers.evidence import InstanceReference, references_of_example
from indexer.answers.example import Example, ExampleInstance
from indexer.answers.identity import (
    MANUFACTURER,
    MODEL_NAME,
    SERIES_DESCRIPTION,
    derived_uid,
    notice_of,
    software_version,
)
from indexer.answers.illustrations import Illustrated, Pixels
from indexer.answers.sheet_layout import SheetStyle, draw_sheet
from indexer.answers.unused_marks import UnusedMark, unused_mark_in_words
from indexer.domain import Answer
from indexer.search.question import Question

SHEET_SERIES_NUMBER: Final = 9902


def contact_sheet(
    example: Example,
    answer: Answer,
    illustrated: Illustrated,
    *,
    question_id: str,
    created: datetime,
    style: SheetStyle | None = None,
    question: Question | None = None,
    unused_mark: UnusedMark | None = None,
) -> Dataset:
    """The example's frames with the most alike cases, or with the reason why there are none.

    No UID of a match stands in it, whatever the settings say; the pictures are all that is told of them,
    beside modality, body part, sequence and, by the settings, when.

    Args:
        example: what was asked about; the sheet is filed under its patient and study.
        answer: its matches in rank order.
        illustrated: their pictures.
        question_id: the same question has the same UIDs.
        created: local time.
        style: the language, and how dates are told.
        question: what was asked; None where nothing could be.
        unused_mark: why a mark is not what was asked about.

    Source:
        DICOM PS3.3 A.8.1 (Secondary Capture Image IOD), C.7.6.1 (General Image), C.12.2 (Common Instance
        Reference), C.12.4 (General Reference).
    """
    style = style or SheetStyle()
    note = unused_mark_in_words(unused_mark, style.language) if unused_mark else ""
    pixels = draw_sheet(
        answer, illustrated, style=style, question=question, about=example.study_date, note=note
    )
    sheet = _image(pixels, example, question_id)
    sheet.update(example.filing)
    _identify(sheet, created)
    sheet.DerivationDescription = sheet.ImageComments = notice_of(is_by_likeness_alone(question, answer))
    sheet.LossyImageCompression = (
        "01" if any(picture.disclosure.is_lossy for picture in illustrated.pictures()) else "00"
    )
    shown = _shown(example, illustrated)
    if shown:
        sheet.SourceImageSequence = [_reference(instance) for instance in shown]
    else:
        sheet.ReferencedInstanceSequence = [_source(instance) for instance in example.instances]
    sheet.ReferencedSeriesSequence = _references(references_of_example(example))
    return sheet


def _image(pixels: Pixels, example: Example, question_id: str) -> SCImage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SCImage(
            pixel_array=pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            study_instance_uid=example.instances[0].study_instance_uid,
            series_instance_uid=derived_uid(question_id, "sheet", "series"),
            series_number=SHEET_SERIES_NUMBER,
            sop_instance_uid=derived_uid(question_id, "sheet", "instance"),
            instance_number=1,
            manufacturer=MANUFACTURER,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )


def _identify(sheet: Dataset, created: datetime) -> None:
    """General Series, Equipment and Image; what highdicom assumes of a scanned image is put right."""
    sheet.SeriesDescription = SERIES_DESCRIPTION
    sheet.ManufacturerModelName = MODEL_NAME
    sheet.SoftwareVersions = software_version()
    sheet.ConversionType = "SYN"
    sheet.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    sheet.SecondaryCaptureDeviceManufacturerModelName = MODEL_NAME
    sheet.SecondaryCaptureDeviceSoftwareVersions = software_version()
    sheet.PatientOrientation = sheet.Laterality = ""
    del sheet.ContributingEquipmentSequence
    sheet.BurnedInAnnotation = "YES"
    for moment in ("Content", "InstanceCreation", "Series"):
        setattr(sheet, f"{moment}Date", created.strftime("%Y%m%d"))
        setattr(sheet, f"{moment}Time", created.strftime("%H%M%S"))
    sheet.DateOfSecondaryCapture = created.strftime("%Y%m%d")
    sheet.TimeOfSecondaryCapture = created.strftime("%H%M%S")
    sheet.file_meta.ImplementationClassUID = UID(derived_uid("implementation"))


def _shown(example: Example, illustrated: Illustrated) -> Sequence[ExampleInstance]:
    """The images whose frames the sheet shows; all of them where it shows none."""
    named = {asked.frame.sop_instance_uid for asked in illustrated.asked}
    images = [instance for instance in example.instances if instance.is_image]
    return [image for image in images if image.sop_instance_uid in named] or images


def _references(references: Sequence[InstanceReference]) -> list[Dataset]:
    """What was asked about, series by series."""
    items: dict[str, Dataset] = {}
    for reference in references:
        series = items.setdefault(reference.series_instance_uid, Dataset())
        series.SeriesInstanceUID = reference.series_instance_uid
        series.setdefault("ReferencedInstanceSequence", [])
        series.ReferencedInstanceSequence.append(_reference(reference))
    return list(items.values())


def _source(instance: ExampleInstance) -> Dataset:
    """A reference to what is no image, with its purpose."""
    item, purpose = _reference(instance), Dataset()
    purpose.CodeValue, purpose.CodeMeaning = SOURCE.value, SOURCE.meaning
    purpose.CodingSchemeDesignator = SOURCE.scheme_designator
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _reference(instance: InstanceReference | ExampleInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    return item
