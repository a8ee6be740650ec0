"""What comes back to whoever sent a study to CBIR: a contact sheet and a report, in its own record."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from rich.console import Console

from demo.families import WrittenStudy
from demo.walk import Walk
from indexer.search.judging import REFUSED
from tests.fakes.drawn import says_why
from tests.fakes.measured import measured_report
from tests.fakes.workstation import wait_until
from tests.integration.conftest import (
    ANSWER_WAIT_S,
    STORESCU,
    looked_up,
    series_count,
    store,
    wait_until_indexed,
)
from tests.integration.kept_sheet import keep

pytestmark = pytest.mark.orthanc

SHEET = "1.2.840.10008.5.1.4.1.1.7"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture(scope="module")
def answers(filled: Walk, unknown: Mapping[str, WrittenStudy]) -> list[Dataset]:
    """Both documents, as the workstation received them."""
    store(unknown["brain-mr"].paths, filled.service.dimse_port, "CBIR")
    return both(filled)


def both(walk: Walk) -> list[Dataset]:
    """The next two documents that the workstation receives."""
    received = [walk.workstation.next_received(ANSWER_WAIT_S) for _ in range(2)]
    found = [document for document in received if document is not None]
    assert len(found) == 2, walk.service.log_path.read_text()[-3000:]
    return found


def test_a_sheet_and_a_report_come_back_in_the_study_that_was_sent(
    answers: Sequence[Dataset], unknown: Mapping[str, WrittenStudy]
) -> None:
    assert [document.SOPClassUID for document in answers] == [SHEET, REPORT]
    asked = pydicom.dcmread(unknown["brain-mr"].paths[0])
    for document in answers:
        assert document.StudyInstanceUID == asked.StudyInstanceUID
        assert document.PatientID == asked.PatientID
    assert len({document.SeriesInstanceUID for document in answers}) == 2


def test_the_validator_finds_no_error_in_either(answers: Sequence[Dataset], tmp_path: Path) -> None:
    for document in answers:
        path = tmp_path / "answer.dcm"
        document.save_as(path, enforce_file_format=True)
        said = subprocess.run(["/usr/bin/dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert [line for line in lines if line.startswith("Error")] == []


def test_the_sheet_shows_pictures_and_maps(filled: Walk, answers: Sequence[Dataset]) -> None:
    """The line around what is alike is the only thing on a grey picture that has a colour."""
    sheet = answers[0].pixel_array.astype(int)
    assert sheet.shape[1] == 2048
    pictures = sheet[200:]
    assert (pictures.min(axis=2) > 150).sum() > 20_000
    warm = (pictures[..., 0] - pictures[..., 2] > 60) & (pictures[..., 0] > 150)
    assert warm.sum() > 3_000
    assert "picture_left_out" not in filled.service.log_path.read_text()
    folder = os.environ.get("CBIR_TEST_SCREENSHOTS")
    if folder:
        keep(answers[0], Path(folder) / "contact-sheet.png")


def test_no_name_or_uid_of_another_patient_stands_in_the_sheet(
    answers: Sequence[Dataset], archived: Sequence[WrittenStudy]
) -> None:
    content = b"".join(
        str(element.value).encode() for element in answers[0].iterall() if element.keyword != "PixelData"
    )
    for study in archived:
        header = pydicom.dcmread(study.paths[0], stop_before_pixels=True)
        for name in (header.PatientID, header.StudyInstanceUID, header.SOPInstanceUID):
            assert str(name).encode() not in content


def test_the_log_and_the_metrics_say_where_the_time_went(filled: Walk, answers: Sequence[Dataset]) -> None:
    assert answers
    [line, *_] = [x for x in filled.service.log_path.read_text().splitlines() if "question_answered" in x]
    for part in ("quiet", "read", "embed", "search", "pictures", "sheet", "report"):
        assert f"{part}_ms=" in line
    steps = ("embed", "search", "sheet", "deliver")
    metrics_with(filled, *(f'cbir_answer_step_seconds_count{{step="{step}"}}' for step in steps))


def metrics_with(walk: Walk, *wanted: str) -> None:
    """Wait until the metrics say all of this."""

    def say_all() -> bool:
        metrics = httpx.get(f"{walk.service.url}/metrics", trust_env=False, timeout=30).text
        return all(one in metrics for one in wanted)

    wait_until(say_all, ANSWER_WAIT_S)


def test_orthanc_as_the_caller_keeps_both_and_never_indexes_them(
    filled: Walk, archived: Sequence[WrittenStudy], answers: Sequence[Dataset], console: Console
) -> None:
    """Sent by Orthanc itself, the answers come home into its own study, and the archive is asked no more."""
    assert answers
    study = next(study for study in archived if study.family == "chest-cr")
    with filled.orthanc.client() as client:
        [orthanc_id] = looked_up(filled, study.study_instance_uid)
        client.post("/modalities/CBIR/store", json={"Resources": [orthanc_id]}).raise_for_status()
        found: dict[str, dict[str, str]] = {}
        deadline = time.monotonic() + ANSWER_WAIT_S
        while len(found) < 2 and time.monotonic() < deadline:
            time.sleep(0.3)
            series = client.get(f"/studies/{orthanc_id}/series").json()
            found = {
                one["MainDicomTags"]["Modality"]: one["MainDicomTags"]
                for one in series
                if one["MainDicomTags"].get("Manufacturer") == "pacs-cbir"
            }
        assert set(found) == {"OT", "SR"}
    metrics_with(filled, 'reason="own_answer"} 1.0', 'reason="report"} 1.0')
    wait_until_indexed(filled, console, series=sum(series_count(study) for study in archived))


@pytest.mark.parametrize("kind", ["presentation state", "report"])
def test_a_mark_that_is_sent_along_asks_about_a_region(
    filled: Walk, unknown: Mapping[str, WrittenStudy], tmp_path: Path, kind: str
) -> None:
    """Sent by dcmtk's storescu; the sheet frames the region, and the report places it."""
    paths = unknown["spine-mr"].paths
    header = pydicom.dcmread(paths[len(paths) // 2])
    marking = presentation_state(header) if kind == "presentation state" else measured_report(header)
    path = tmp_path / "marking.dcm"
    marking.save_as(path, enforce_file_format=True)
    sent = subprocess.run(
        [STORESCU, "-aet", "WORKSTATION", "-aec", "CBIR", "127.0.0.1", str(filled.service.dimse_port)]
        + [str(one) for one in (*paths, path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr
    sheet, report = both(filled)
    cool = (96, 196, 255)
    assert (sheet.pixel_array == cool).all(axis=2).sum() > 2_000
    regions = [item for item in items(report) if code_of(item) == "region"]
    places = [item for item in items(report) if code_of(item) == "place"]
    assert regions
    assert places
    columns, rows = int(header.Columns), int(header.Rows)
    points = np.array(regions[0].GraphicData, float).reshape(-1, 2)
    assert points.min(axis=0) == pytest.approx([0.25 * columns, 0.25 * rows], abs=1)
    assert points.max(axis=0) == pytest.approx([0.5 * columns, 0.5 * rows], abs=1)
    [on] = regions[0].ContentSequence
    assert on.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ReferencedFrameNumber": 7}, "it lies on an image or a frame that is not compared"),
        ({"ReferencedSOPInstanceUID": "1.2.3"}, "it lies on an image that was not sent"),
    ],
)
def test_a_mark_that_cannot_be_used_costs_no_answer(
    filled: Walk, unknown: Mapping[str, WrittenStudy], tmp_path: Path, changed: dict[str, object], why: str
) -> None:
    paths = unknown["spine-mr"].paths
    marking = presentation_state(pydicom.dcmread(paths[0]))
    [image] = marking.GraphicAnnotationSequence[0].ReferencedImageSequence
    for keyword, value in changed.items():
        setattr(image, keyword, value)
    path = tmp_path / "marking.dcm"
    marking.save_as(path, enforce_file_format=True)
    command = [STORESCU, "-aet", "WORKSTATION", "-aec", "CBIR", "127.0.0.1", str(filled.service.dimse_port)]
    subprocess.run([*command, *map(str, (*paths, path))], check=True, capture_output=True)
    _, report = both(filled)
    outcomes = [i.ConceptCodeSequence[0].CodeValue for i in items(report) if code_of(i) == "outcome"]
    assert outcomes == ["found"]
    assert any(why in str(item.get("TextValue", "")) for item in items(report))
    assert not [item for item in items(report) if code_of(item) in ("region", "place")]


def presentation_state(marked: Dataset) -> Dataset:
    """A Grayscale Softcopy Presentation State with a rectangle on one image, in pixels."""
    columns, rows = int(marked.Columns), int(marked.Rows)
    left, right, top, bottom = columns / 4, columns / 2, rows / 4, rows / 2
    graphic, annotation, image = Dataset(), Dataset(), Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicDimensions = "PIXEL", 2
    graphic.GraphicType, graphic.GraphicFilled, graphic.NumberOfGraphicPoints = "POLYLINE", "N", 5
    graphic.GraphicData = [left, top, right, top, right, bottom, left, bottom, left, top]
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = marked.SOPClassUID, marked.SOPInstanceUID
    annotation.GraphicLayer = "MARKS"
    annotation.ReferencedImageSequence = Items([image])
    annotation.GraphicObjectSequence = Items([graphic])
    state = Dataset()
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        setattr(state, keyword, marked[keyword].value)
    state.SOPClassUID, state.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.11.1", generate_uid()
    state.SeriesInstanceUID, state.Modality, state.InstanceNumber = generate_uid(), "PR", 1
    state.GraphicAnnotationSequence = Items([annotation])
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return state


def test_a_blank_study_is_answered_with_a_sheet_and_a_report_that_say_why(
    filled: Walk, unknown: Mapping[str, WrittenStudy], tmp_path: Path
) -> None:
    blank = pydicom.dcmread(unknown["chest-cr"].paths[0])
    blank.StudyInstanceUID, blank.SeriesInstanceUID = generate_uid(), generate_uid()
    blank.SOPInstanceUID = blank.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    blank.PixelData = bytes(len(blank.PixelData))
    path = tmp_path / "blank.dcm"
    blank.save_as(path, enforce_file_format=True)
    store([path], filled.service.dimse_port, "CBIR")
    sheet, report = both(filled)
    outcomes = [i.ConceptCodeSequence[0].CodeValue for i in items(report) if code_of(i) == "outcome"]
    assert outcomes == ["refused"]
    assert says_why(sheet.pixel_array, REFUSED["blank_frame"])
    assert not says_why(sheet.pixel_array, REFUSED["no_encoder"])
    [said] = [text for text in dumped(report, tmp_path).splitlines() if "(blank_frame)" in text]
    assert REFUSED["blank_frame"] in said
    assert sheet.StudyInstanceUID == report.StudyInstanceUID == blank.StudyInstanceUID


def dumped(report: Dataset, folder: Path) -> str:
    """What dcmtk's dsrdump reads; it finds nothing wrong."""
    path = folder / "report.dcm"
    report.save_as(path, enforce_file_format=True)
    command = ["/usr/bin/dsrdump", "-Er", "-Ei", "+Pl", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    return said.stdout


def items(container: Dataset) -> list[Dataset]:
    found: list[Dataset] = []
    for item in container.get("ContentSequence", []):
        found += [item, *items(item)]
    return found


def code_of(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].get("CodeValue", "")) if names else ""
