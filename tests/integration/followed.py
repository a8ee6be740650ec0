"""A hospital whose service looks often, and what the following tests do to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom

from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import Walk, hospital
from tests.integration.agreement import Auditor, auditor
from tests.integration.conftest import Programs, store

STABLE_AGE_S = 2
LOOKING_OFTEN = {
    "CBIR_POLL_S": "0.2",
    "CBIR_RECONCILE_S": "1",
    "CBIR_QUIET_S": "0.5",
    "CBIR_LEASE_S": "3",
    "CBIR_DECODERS": "1",
}


@dataclass(frozen=True)
class Followed:
    """A hospital and its judge."""

    walk: Walk
    auditor: Auditor

    def send(self, paths: Sequence[Path]) -> None:
        """C-STORE to Orthanc."""
        store(paths, self.walk.orthanc.dicom_port, self.walk.orthanc.ae_title)

    def delete(self, path: str) -> None:
        """DELETE in Orthanc's REST API."""
        with self.walk.orthanc.client() as client:
            client.delete(path).raise_for_status()

    def get(self, path: str) -> httpx.Response:
        """GET in Orthanc's REST API."""
        with self.walk.orthanc.client() as client:
            return client.get(path)

    def lose_the_outbox(self) -> None:
        """The plugin's spool of hints goes with a disk; Orthanc must be down."""
        found = list(self.walk.orthanc.folder.rglob("cbir-outbox.sqlite*"))
        assert found
        for path in found:
            path.unlink()


@contextmanager
def followed(folder: Path, programs: Programs, *, overwrite_instances: bool = False) -> Iterator[Followed]:
    """A hospital that keeps or overwrites what is sent again, and its judge."""
    options = {
        "programs": programs,
        "overwrite_instances": overwrite_instances,
        "stable_age_s": STABLE_AGE_S,
    }
    with (
        hospital(folder, LOOKING_OFTEN, **options) as walk,
        auditor(walk, folder / "judge") as judge,
    ):
        yield Followed(walk, judge)


def study_of(family: str, folder: Path) -> WrittenStudy:
    """A new study of a family, the same for the same folder name."""
    chosen = tuple(f for f in FAMILIES if f.name == family)
    seed = int.from_bytes(hashlib.sha256(str(folder).encode()).digest()[:4], "big")
    (study,) = write_studies(folder, per_family=1, families=chosen, seed=seed)
    return study


def with_other_pixels(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The same instances, upside down."""
    folder.mkdir()
    turned = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.PixelData = dataset.pixel_array[::-1].tobytes()
        dataset.save_as(folder / path.name)
        turned.append(folder / path.name)
    return turned


def orthanc_id(*uids: str) -> str:
    """Orthanc's identifier of what has this patient id, study, series and instance UID."""
    digest = hashlib.sha1("|".join(uids).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def study_id(study: WrittenStudy) -> str:
    """Orthanc's identifier of a study."""
    dataset = pydicom.dcmread(study.paths[0], stop_before_pixels=True)
    return orthanc_id(dataset.PatientID, dataset.StudyInstanceUID)


def series_ids(paths: Sequence[Path]) -> set[str]:
    """Orthanc's identifiers of the series of these files."""
    read = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return {orthanc_id(d.PatientID, d.StudyInstanceUID, d.SeriesInstanceUID) for d in read}


def instance_id(path: Path) -> str:
    """Orthanc's identifier of one file."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return orthanc_id(
        dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    )
