"""Image-sentence pairs from a real Orthanc's images and Structured Reports."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from indexer.adapters.orthanc import OrthancArchive
from indexer.patients import Pseudonyms
from inference.decoders import Decoders
from inference.limits import Limits
from tests.conftest import StartOrthanc
from tests.training.pairs.studies import write_archive
from training.pairs.examinations import Examinations

pytestmark = pytest.mark.orthanc


def test_an_orthanc_gives_its_images_with_their_studies_reports(
    start_orthanc: StartOrthanc, tmp_path: Path
) -> None:
    truth = write_archive(tmp_path / "files", studies=4)
    orthanc = start_orthanc()
    with httpx.Client(base_url=orthanc.http_url, auth=orthanc.auth, trust_env=False, timeout=120) as client:
        for path in (tmp_path / "files").iterdir():
            client.post("/instances", content=path.read_bytes()).raise_for_status()
    user, password = orthanc.auth
    with (
        OrthancArchive(orthanc.http_url, user=user, password=password) as archive,
        Decoders(Limits(), 1) as decoders,
    ):
        taken = Examinations(
            archive, decoders, Pseudonyms(b"k" * 32).of, tmp_path / "taken", max_frames=16
        ).take()
    assert sorted(Path(image.image).stem.rpartition("-")[0] for image in taken.images) == sorted(truth)
    assert all("Findings:" in image.report for image in taken.images)
    assert len({image.report for image in taken.images}) == 4
