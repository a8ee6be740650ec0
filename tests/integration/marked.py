"""DICOM files in which every place that can name a person holds a mark of its own."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from inference.reading import tolerant

MARKS = {
    "PatientName": "Zqxfamily^Zqxgiven",
    "PatientID": "ZQXPID4711",
    "OtherPatientIDs": "ZQXOTHER815",
    "OtherPatientNames": "Zqxmaiden^Zqxgiven",
    "IssuerOfPatientID": "ZQXISSUER",
    "PatientBirthDate": "18970713",
    "PatientAddress": "Zqxstreet 12",
    "PatientTelephoneNumbers": "0049-ZQXPHONE",
    "PatientComments": "zqxpatientcomment",
    "AccessionNumber": "ZQXACC0099",
    "StudyID": "ZQXSTUDYID",
    "StudyDescription": "zqxstudywords",
    "SeriesDescription": "zqxserieswords",
    "ProtocolName": "zqxprotocol",
    "ReferringPhysicianName": "Zqxreferrer^Anna",
    "PerformingPhysicianName": "Zqxperformer^Otto",
    "OperatorsName": "Zqxoperator",
    "InstitutionName": "Zqxhospital",
    "StationName": "ZQXSTATION",
    "ImageComments": "zqximagecomment",
    "DerivationDescription": "zqxderivation",
    "RequestedProcedureDescription": "zqxrequested",
}
PRIVATE, NESTED, ODD, INVALID, CODESTREAM, FILE_NAME, UID_TEXT, TYPED = (
    *("zqxprivate", "zqxnested", "ZQXBODYPART", "zqxinvalid"),
    *("zqxcodestream", "Zqxfile_Zqxname", "ZQXUID", "zqxtyped"),
)
PARTS = ("Zqxfamily", "Zqxgiven", "Zqxmaiden", "Zqxstreet", "Zqxreferrer", "Zqxperformer", "Zqxfile")
EVERY_MARK = (
    *(mark for mark in MARKS.values() if "^" not in mark),
    *PARTS,
    *(PRIVATE, NESTED, ODD, INVALID, CODESTREAM, UID_TEXT, TYPED),
)


class MarkedFiles:
    """Writes marked instances into a folder, each in a series and study of its own unless told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def image(self, study: str = "", **changed: object) -> Path:
        """A CT that can be indexed; `changed` are elements by keyword."""
        dataset = _marked(study or generate_uid(), next(self._numbers))
        with tolerant():
            for keyword, value in changed.items():
                setattr(dataset, keyword, value)
        return self._write(dataset)

    def in_odd_places(self) -> list[Path]:
        """A name where codes belong."""
        return [
            self.image(BodyPartExamined=ODD),
            self.image(BodyPartExamined=f"CHEST {ODD}"),
            self.image(Modality=ODD),
            self.image(BodyPartExamined="Zqxfamily"),
        ]

    def with_invalid_values(self) -> list[Path]:
        """Values of which pydicom would warn, and quote them; some stand where numbers are wanted."""
        made = []
        for group, element, vr in (
            (0x0020, 0x0013, "IS"),  # Instance Number
            (0x0028, 0x1050, "DS"),  # Window Center
            (0x0028, 0x1052, "DS"),  # Rescale Intercept
            (0x0020, 0x0032, "DS"),  # Image Position (Patient)
            (0x0008, 0x0020, "DA"),  # Study Date
            (0x0010, 0x0030, "DA"),  # Patient's Birth Date
        ):
            dataset = _marked(generate_uid(), next(self._numbers))
            _raw(dataset, group, element, vr, INVALID.encode())
            made.append(self._write(dataset))
        return made

    def undecodable(self) -> Path:
        """JPEG 2000 that is none, with a name in it."""
        dataset = _marked(generate_uid(), next(self._numbers))
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        garbage = b"\xff\x4f\xff\x51\0\x29" + CODESTREAM.encode() * 20
        dataset.PixelData = encapsulate([garbage])
        dataset["PixelData"].is_undefined_length = True
        return self._write(dataset)

    def with_broken_header(self) -> Path:
        """Cut off inside its header, right after a name."""
        path = self.image()
        content = path.read_bytes()
        path.write_bytes(content[: content.index(b"zqxprotocol") + 20])
        return path

    def with_impossible_uid(self, keyword: str = "SeriesInstanceUID") -> Path:
        """A name where a UID belongs."""
        return self.image(**{keyword: f"1.2.{UID_TEXT}.Zqxfamily"})

    def not_dicom(self) -> Path:
        """A text about a patient."""
        path = self._folder / f"{FILE_NAME}_{next(self._numbers)}.txt"
        path.write_text(" ".join(MARKS.values()))
        return path

    def everything(self) -> list[Path]:
        """All of it."""
        return [
            *(self.image(), self.image(), self.image(StudyDate="20200229")),
            *self.in_odd_places(),
            *self.with_invalid_values(),
            self.undecodable(),
            self.with_broken_header(),
            self.with_impossible_uid(),
            self.with_impossible_uid("StudyInstanceUID"),
            self.with_impossible_uid("SOPInstanceUID"),
            self.not_dicom(),
        ]

    def _write(self, dataset: Dataset) -> Path:
        path = self._folder / f"{FILE_NAME}_{next(self._numbers)}.dcm"
        with tolerant():
            dataset.save_as(path, enforce_file_format=True)
        return path


def _marked(study: str, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
    dataset.Modality, dataset.BodyPartExamined, dataset.StudyDate = "CT", "CHEST", "20240229"
    dataset.Manufacturer, dataset.StudyTime, dataset.PatientSex = "Maker", "120000", "O"
    dataset.InstanceNumber = 1
    with tolerant():
        for keyword, mark in MARKS.items():
            setattr(dataset, keyword, mark)
    dataset.PatientID = f"{MARKS['PatientID']}-{number}"
    block = dataset.private_block(0x0011, "ZQX MAKER", create=True)
    block.add_new(0x01, "LO", PRIVATE)
    block.add_new(0x02, "OB", PRIVATE.encode("utf-16-le"))
    inner = Dataset()
    inner.PatientName, inner.TextValue = f"{NESTED}^deep", NESTED
    outer = Dataset()
    outer.RequestedProcedureDescription = NESTED
    outer.ContentSequence = Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([outer])
    _draw(dataset, number)
    return dataset


def _draw(dataset: Dataset, number: int) -> None:
    noise = np.random.default_rng(number)
    pixels = noise.integers(0, 2000, size=(64, 64)).astype(np.uint16)
    pixels[10:40, 10 : 20 + number] = 3000
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.tobytes()


def _raw(dataset: Dataset, group: int, element: int, vr: str, value: bytes) -> None:
    """As bytes, so that no library has a say in it."""
    padded = value + b" " * (len(value) % 2)
    tag = Tag(group, element)
    raw = RawDataElement(tag, vr, len(padded), padded, 0, is_implicit_VR=False, is_little_endian=True)
    dataset[tag] = raw if tag not in dataset else _replaced(dataset, raw)


def _replaced(dataset: Dataset, raw: RawDataElement) -> RawDataElement | DataElement:
    del dataset[raw.tag]
    return raw
