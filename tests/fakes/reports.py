"""Reports to ask with: a Basic Text SR, a report that only marks a region, an encapsulated document."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, ComprehensiveSRStorage, EncapsulatedPDFStorage

from tests.fakes.answers import instance

DEPICTED = {"PixelData": None, "Rows": None, "Columns": None}


def report(study: str, text: str, **attributes: object) -> Dataset:
    """A Basic Text SR that says `text`."""
    item = Dataset()
    item.ValueType, item.RelationshipType, item.TextValue = "TEXT", "CONTAINS", text
    usual = {"SOPClassUID": BasicTextSRStorage, "Modality": "SR", "ContentSequence": Sequence([item])}
    return instance(study, "report", 1, **{**DEPICTED, **usual, **attributes})


def marking_report(study: str, sop_instance_uid: str) -> Dataset:
    """A report without prose, whose only content is a place on the image (4 x 4): from 1 to 3."""
    image, reference, place = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    image.ValueType, image.RelationshipType = "IMAGE", "SELECTED FROM"
    image.ReferencedSOPSequence = Sequence([reference])
    place.ValueType, place.RelationshipType, place.GraphicType = "SCOORD", "CONTAINS", "POLYLINE"
    place.GraphicData = [1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 1.0, 1.0]
    place.ContentSequence = Sequence([image])
    usual = {"SOPClassUID": ComprehensiveSRStorage, "Modality": "SR", "ContentSequence": Sequence([place])}
    return instance(study, "marking", 1, **{**DEPICTED, **usual})


def document(study: str, text: str, **attributes: object) -> Dataset:
    """An encapsulated document of the modality of its images, as the standard allows."""
    body = text.encode()
    usual = {"SOPClassUID": EncapsulatedPDFStorage, "EncapsulatedDocument": body + b"\0" * (len(body) % 2)}
    return instance(study, "document", 1, **{**DEPICTED, **usual, **attributes})
