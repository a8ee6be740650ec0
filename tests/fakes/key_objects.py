"""Key object selections, as a workstation makes them of images that a person points at."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage, generate_uid


def key_object(
    images: Sequence[Dataset],
    title: str,
    *,
    evidence: Sequence[Dataset] | None = None,
    filed_in: Dataset | None = None,
    description: str = "",
    **attributes: object,
) -> Dataset:
    """A selection of these images.

    Args:
        images: what its content names.
        title: a code of CID 7010.
        evidence: what its evidence lists; the images where nothing is said.
        filed_in: an instance of its own study; the first image where nothing is said.
        description: what the person typed.
        attributes: by keyword, in place of its own.
    """
    study = filed_in or images[0]
    selection = Dataset()
    selection.SOPClassUID, selection.SOPInstanceUID = KeyObjectSelectionDocumentStorage, generate_uid()
    selection.StudyInstanceUID, selection.SeriesInstanceUID = study.StudyInstanceUID, generate_uid()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"):
        setattr(selection, keyword, study.get(keyword, ""))
    selection.Modality, selection.Manufacturer = "KO", "A workstation"
    selection.InstanceNumber, selection.SeriesNumber = 1, 99
    selection.ContentDate, selection.ContentTime = "20260301", "120000"
    selection.ValueType, selection.ContinuityOfContent = "CONTAINER", "SEPARATE"
    selection.ConceptNameCodeSequence = Items([_code(title)])
    described = [_description(description)] if description else []
    selection.ContentSequence = Items([*described, *(_item(image) for image in images)])
    selection.CurrentRequestedProcedureEvidenceSequence = _evidence(images if evidence is None else evidence)
    for keyword, value in attributes.items():
        setattr(selection, keyword, value)
    selection.file_meta = FileMetaDataset()
    selection.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return selection


def by_highdicom(images: list[Dataset], title: Code, description: str) -> Dataset:
    """What a toolkit that knows TID 2010 writes."""
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes("Doe^Jane"),
    )
    content = hd.ko.KeyObjectSelection(
        document_title=title,
        referenced_objects=images,
        observer_person_context=observer,
        description=description,
    )
    return hd.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=content,
        series_instance_uid=generate_uid(),
        series_number=10,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="A workstation",
    )


def _code(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", "A title"
    return code


def _description(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", text
    item.ConceptNameCodeSequence = Items([_code("113012")])
    return item


def _item(image: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = Items([_reference(image)])
    return item


def _reference(image: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return reference


def _evidence(images: Sequence[Dataset]) -> Items:
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for image in images:
        of_study = studies.setdefault(image.StudyInstanceUID, {})
        of_study.setdefault(image.SeriesInstanceUID, []).append(_reference(image))
    return Items([_study(uid, series) for uid, series in studies.items()])


def _study(uid: str, of_study: dict[str, list[Dataset]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = uid, Items()
    for series_uid, references in of_study.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = series_uid, Items(references)
        study.ReferencedSeriesSequence.append(series)
    return study
