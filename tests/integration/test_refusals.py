"""What no case of the archive can answer is refused with its reason: over HTTP, at the AE, at the command."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    MRImageStorage,
    OphthalmicPhotography8BitImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from demo.families import WrittenStudy
from demo.report import reported_cases
from demo.walk import Walk
from evaluation.outsiders import noise, photograph_crops
from tests.fakes import instance_file
from tests.integration.conftest import ANSWER_WAIT_S, ASKING, answer_to

pytestmark = pytest.mark.orthanc


def written(path: Path, pixels: NDArray[np.uint8], **elements: str) -> Path:
    """One instance of a study of its own."""
    dataset = instance_file.instance(
        pixels,
        StudyInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(),
        PatientID="SYN-OUTSIDER",
        PatientName="Synthetic^Outsider",
        StudyDate="20200101",
        StudyTime="120000",
        AccessionNumber="",
        StudyID="1",
        SeriesNumber=1,
        InstanceNumber=1,
        **elements,
    )
    return instance_file.write(dataset, path)


def grey_levels(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(picture * 255).astype(np.uint8)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A photograph of the world, sent as a Secondary Capture."""
    (_, picture) = next(iter(photograph_crops(1, 3)))
    return written(
        tmp_path / "photograph.dcm",
        grey_levels(picture),
        SOPClassUID=SecondaryCaptureImageStorage,
        Modality="OT",
        ConversionType="WSD",
    )


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Noise, sent as an MR image of a brain."""
    (_, picture) = next(iter(noise(("speckle",), 1, 3)))
    return written(
        tmp_path / "noise.dcm",
        grey_levels(picture),
        SOPClassUID=MRImageStorage,
        Modality="MR",
        BodyPartExamined="BRAIN",
    )


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    return written(
        tmp_path / "blank.dcm", np.zeros((64, 64), np.uint8), SOPClassUID=MRImageStorage, Modality="MR"
    )


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    """An image whose pixel data end too early."""
    dataset = instance_file.instance(
        instance_file.ramp(64, 64),
        StudyInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(),
        SOPClassUID=MRImageStorage,
        Modality="MR",
    )
    dataset.PixelData = dataset.PixelData[:1000]
    return instance_file.write(dataset, tmp_path / "cut-short.dcm")


@pytest.fixture
def fundus(tmp_path: Path) -> Path:
    """A photograph of the eye."""
    folder = Path(os.environ["CBIR_TEST_DATA"]) / "bench" / "fundus"
    picture = cv2.imread(str(sorted(folder.iterdir())[0]), cv2.IMREAD_COLOR)
    assert picture is not None
    return written(
        tmp_path / "fundus.dcm",
        np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8),
        SOPClassUID=OphthalmicPhotography8BitImageStorage,
        Modality="OP",
    )


def uploaded(walk: Walk, *paths: Path, **query: str) -> dict[str, object]:
    """The answer to an upload of these files."""
    answer = httpx.post(
        f"{walk.service.url}/api/search/upload",
        params=query,
        files=[("files", (path.name, path.read_bytes(), "application/dicom")) for path in paths],
        headers=ASKING,
        timeout=120,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def texts_of(container: Dataset) -> str:
    """Every text of a report."""
    own = str(container.get("TextValue", ""))
    return " ".join([own, *(texts_of(item) for item in container.get("ContentSequence", []))])


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("photograph", "unknown_to_encoder"),
        ("noisy", "unknown_to_encoder"),
        ("blank", "blank_frame"),
        ("cut_short", "truncated_pixel_data"),
        pytest.param("fundus", "unknown_to_encoder", marks=pytest.mark.shared_data),
    ],
)
def test_an_upload_is_refused_with_the_reason(
    filled: Walk, example: str, reason: str, request: pytest.FixtureRequest
) -> None:
    answer = uploaded(filled, request.getfixturevalue(example))
    refused = answer["refused"]
    assert isinstance(refused, Mapping)
    assert refused["reason"] == reason
    assert str(refused["message"]).endswith(".")
    assert answer["matches"] == []


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("photograph", "unknown_to_encoder"),
        ("blank", "blank_frame"),
        pytest.param("fundus", "unknown_to_encoder", marks=pytest.mark.shared_data),
    ],
)
def test_who_sends_it_to_the_ae_gets_a_report_that_says_why(
    filled: Walk, example: str, reason: str, request: pytest.FixtureRequest
) -> None:
    report = answer_to(filled, [request.getfixturevalue(example)])
    assert reported_cases(report) == []
    assert f"No similar cases are shown ({reason})" in texts_of(report)


def test_a_study_of_a_family_that_is_archived_is_answered_though_the_encoder_never_saw_such(
    filled: Walk, unknown: Mapping[str, WrittenStudy]
) -> None:
    for family, study in unknown.items():
        answer = uploaded(filled, study.paths[0])
        assert answer["refused"] is None, family
        assert answer["matches"], family


def test_a_filter_makes_no_stranger_of_it_and_lets_none_in(
    filled: Walk, unknown: Mapping[str, WrittenStudy], photograph: Path
) -> None:
    """The brains that it is like are left out by the filter, and are in the archive all the same."""
    brain = unknown["brain-mr"].paths[0]
    for query in ({"modality": "CT"}, {"study_date_from": "2090-01-01"}):
        answer = uploaded(filled, brain, **query)
        matches = answer["matches"]
        assert isinstance(matches, list)
        assert answer["refused"] is None, query
        assert {match["modality"] for match in matches} == ({"CT"} if "modality" in query else set())
    refused = uploaded(filled, photograph, modality="CT")["refused"]
    assert isinstance(refused, Mapping)
    assert refused["reason"] == "unknown_to_encoder"


def test_the_service_measures_how_alike_unrelated_series_are_and_tells_percentages(
    filled: Walk, unknown: Mapping[str, WrittenStudy]
) -> None:
    """The service looks once a minute: what it measured before the archive was filled is no longer true."""
    deadline = time.monotonic() + 60 + ANSWER_WAIT_S
    percents: list[object] = []
    while not any(percents) and time.monotonic() < deadline:
        matches = uploaded(filled, *unknown["brain-mr"].paths)["matches"]
        assert isinstance(matches, list)
        percents = [match["percent"] for match in matches]
        time.sleep(1)
    told = [float(percent) for percent in percents if isinstance(percent, float | int)]
    assert len(told) == len(percents)
    assert all(0 <= percent < 100 for percent in told)
    assert told[0] > 80
    one_slice = uploaded(filled, unknown["brain-mr"].paths[0])["matches"]
    assert isinstance(one_slice, list)
    assert any(match["percent"] is None for match in one_slice), "a slice beside a stack is not a series"
