"""Small studies to send to a real Orthanc, and the sending."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from demo.orthanc import LocalOrthanc

SENDER = "SENDER"


@dataclass(frozen=True)
class SmallSeries:
    """A series of small CT instances of a patient who does not exist."""

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Dataset, ...]

    @property
    def orthanc_id(self) -> str:
        """Orthanc's identifier: SHA-1 of patient, study and series."""
        named = f"TEST|{self.study_instance_uid}|{self.series_instance_uid}"
        digest = hashlib.sha1(named.encode(), usedforsecurity=False).hexdigest()
        return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def small_series(instances: int = 2, study_instance_uid: str = "") -> SmallSeries:
    """Make a series."""
    study = study_instance_uid or generate_uid()
    series = generate_uid()
    made = tuple(_instance(study, series, number) for number in range(1, instances + 1))
    return SmallSeries(study, series, made)


def send(orthanc: LocalOrthanc, datasets: Iterable[Dataset], sender: str = SENDER) -> Sequence[int]:
    """Send by C-STORE as a modality would; gives the statuses."""
    ae = AE(sender)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", orthanc.dicom_port, ae_title=orthanc.ae_title)
    assert association.is_established
    try:
        return [int(association.send_c_store(dataset).Status) for dataset in datasets]
    finally:
        association.release()


def _instance(study: str, series: str, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.PatientID = "TEST"
    dataset.PatientName = "Test^Test"
    dataset.Modality = "CT"
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.full((16, 16), number, np.uint16).tobytes()
    return dataset
