"""The archives under contract: a fake, a folder, and a real Orthanc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from demo.orthanc import LocalOrthanc, OrthancMissing
from indexer.adapters.folder import FolderArchive
from indexer.adapters.orthanc import OrthancArchive
from indexer.ports import Archive
from tests.fakes.archive import FakeArchive

USER, PASSWORD = "cbir", "correct"
LIMITED_USER, LIMITED_PASSWORD = "limited", "also correct"

# The limited user is shown the series whose identifier begins with a digit below 8, and nothing else.
LUA = """
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  if username == 'limited' then
    return string.match(uri, '^/series/[0-7]') ~= nil
  end
  return true
end
"""


class RealOrthanc:
    """An Orthanc of our own, with the hands that fill and empty it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "filter.lua").write_text(LUA)
        self.local = LocalOrthanc(
            folder=folder,
            user=USER,
            password=PASSWORD,
            ae_title="ARCHIVE",
            modalities={"SENDER": ("127.0.0.1", 104)},
            overwrite_instances=True,
            stable_age_s=1,
            extra={
                "RegisteredUsers": {USER: PASSWORD, LIMITED_USER: LIMITED_PASSWORD},
                "LuaScripts": [str(folder / "filter.lua")],
                "HttpCompressionEnabled": True,
            },
        )
        self.url = self.local.http_url
        self.dicom_port = self.local.dicom_port
        # Orthanc closes a connection that was idle for a second, and might do so under a request.
        self.client = httpx.Client(
            base_url=self.url,
            auth=(USER, PASSWORD),
            headers={"Accept-Encoding": "identity"},
            timeout=120,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def start(self) -> None:
        self.local.__enter__()

    def stop(self) -> None:
        self.local.stop()

    def empty(self) -> None:
        for patient in self.client.get("/patients").json():
            self.client.delete(f"/patients/{patient}")

    def store(self, content: bytes) -> None:
        self.client.post("/instances", content=content).raise_for_status()

    def delete_instance(self, sop_instance_uid: str) -> None:
        for found in self.client.post("/tools/lookup", content=sop_instance_uid).json():
            self.client.delete(found["Path"]).raise_for_status()


@pytest.fixture(scope="session")
def started_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOrthanc]:
    orthanc = RealOrthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        orthanc.start()
    except OrthancMissing as missing:
        if os.environ.get("CBIR_REQUIRE_ORTHANC"):
            raise
        pytest.skip(str(missing))
    yield orthanc
    orthanc.stop()
    orthanc.client.close()


@pytest.fixture
def orthanc(started_orthanc: RealOrthanc) -> RealOrthanc:
    """A real Orthanc that holds nothing."""
    started_orthanc.empty()
    return started_orthanc


def ct_instance(
    number: int = 1,
    *,
    study: str = "1.2.3",
    series: str = "1.2.3.1",
    patient: str = "P1",
    fill: int = 0,
    size: int = 16,
) -> Dataset:
    """One instance of an axial CT series; `fill` is in its pixels, `number` in its place."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{series}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.PatientName = patient, "Doe^Jane"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240102", "101112", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 1, number
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-100, -100, 2.5 * number]
    dataset.PixelSpacing, dataset.FrameOfReferenceUID = [1, 1], f"{study}.9"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.full((size, size), fill, np.uint16).tobytes()
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Shelf(Protocol):
    """An archive under test, with the hands that fill and empty it."""

    @property
    def archive(self) -> Archive: ...

    def store(self, *datasets: Dataset) -> None: ...

    def delete(self, *datasets: Dataset) -> None: ...


class FakeShelf:
    def __init__(self) -> None:
        self.archive = FakeArchive()

    def store(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self.archive.store(dicom_bytes(dataset))

    def delete(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self.archive.delete_instance(dataset.SOPInstanceUID)


class FolderShelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.archive = FolderArchive(folder)

    def store(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            path = self._path(dataset)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_later(path, dicom_bytes(dataset))

    def delete(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self._path(dataset).unlink()

    def _path(self, dataset: Dataset) -> Path:
        return self._folder / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"


def _write_later(path: Path, content: bytes) -> None:
    """Write a file that has another time than its earlier self: a file system's clock may stand for 10 ms."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while True:
        path.write_bytes(content)
        if path.stat().st_mtime_ns != before:
            return


class OrthancShelf:
    def __init__(self, orthanc: RealOrthanc, archive: OrthancArchive) -> None:
        self._orthanc = orthanc
        self.archive = archive

    def store(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self._orthanc.store(dicom_bytes(dataset))

    def delete(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self._orthanc.delete_instance(dataset.SOPInstanceUID)


@pytest.fixture
def orthanc_archive(orthanc: RealOrthanc) -> Iterator[OrthancArchive]:
    with OrthancArchive(orthanc.url, user=USER, password=PASSWORD, timeout_s=120) as archive:
        yield archive


@pytest.fixture(params=["fake", "folder", pytest.param("orthanc", marks=pytest.mark.orthanc)])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "fake":
        return FakeShelf()
    if request.param == "folder":
        folder = tmp_path / "folder"
        folder.mkdir()
        return FolderShelf(folder)
    return OrthancShelf(request.getfixturevalue("orthanc"), request.getfixturevalue("orthanc_archive"))
