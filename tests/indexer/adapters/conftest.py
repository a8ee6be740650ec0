"""The archives under contract: a fake, a folder, and a real Orthanc."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

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
    """An Orthanc of our own on free ports, kept to itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http_port, self.dicom_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.client = httpx.Client(
            base_url=self.url, auth=(USER, PASSWORD), headers={"Accept-Encoding": "identity"}, timeout=30
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "filter.lua").write_text(LUA)
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._config()))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "TCP_NODELAY": "1", "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            )
        self._wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def empty(self) -> None:
        for patient in self.client.get("/patients").json():
            self.client.delete(f"/patients/{patient}")

    def store(self, content: bytes) -> None:
        self.client.post("/instances", content=content).raise_for_status()

    def delete_instance(self, sop_instance_uid: str) -> None:
        for found in self.client.post("/tools/lookup", content=sop_instance_uid).json():
            self.client.delete(found["Path"]).raise_for_status()

    def _config(self) -> dict[str, object]:
        return {
            "Name": "contract",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ARCHIVE",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD, LIMITED_USER: LIMITED_PASSWORD},
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {"sender": ["SENDER", "127.0.0.1", 104]},
            "OverwriteInstances": True,
            "StableAge": 1,
            "LuaScripts": [str(self.folder / "filter.lua")],
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.client.get("/system").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def started_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOrthanc]:
    if shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("no Orthanc on this machine")
    orthanc = RealOrthanc(tmp_path_factory.mktemp("orthanc"))
    orthanc.start()
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
            path.write_bytes(dicom_bytes(dataset))

    def delete(self, *datasets: Dataset) -> None:
        for dataset in datasets:
            self._path(dataset).unlink()

    def _path(self, dataset: Dataset) -> Path:
        return self._folder / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"


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
    with OrthancArchive(orthanc.url, user=USER, password=PASSWORD, timeout_s=30) as archive:
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
