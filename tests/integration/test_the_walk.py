"""A study sent to Orthanc becomes searchable; a study sent to the CBIR AE comes back answered."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from rich.console import Console

from demo.families import WrittenStudy
from demo.report import ReportedCase, reported_cases
from demo.walk import Walk
from tests.integration.conftest import (
    ANSWER_WAIT_S,
    ASKING,
    answer_to,
    ask_by_http,
    ask_through_orthanc,
    looked_up,
    series_count,
    store,
    wait_until_indexed,
)

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def report(filled: Walk, unknown: Mapping[str, WrittenStudy]) -> Dataset:
    """What comes back to the workstation that sent a study nobody archived."""
    return answer_to(filled, unknown["brain-mr"].paths)


def families(cases: Sequence[ReportedCase], studies: Sequence[WrittenStudy]) -> list[str]:
    named = {study.study_instance_uid: study.family for study in studies}
    return [named[case.study_instance_uid] for case in cases]


def test_the_report_ranks_the_same_family_first(report: Dataset, studies: Sequence[WrittenStudy]) -> None:
    found = families(reported_cases(report), studies)
    assert found[:4] == ["brain-mr"] * 4
    assert len(found) == 10


def test_the_report_is_filed_in_the_study_that_was_asked_about(
    report: Dataset, unknown: Mapping[str, WrittenStudy]
) -> None:
    assert report.StudyInstanceUID == unknown["brain-mr"].study_instance_uid
    assert report.Modality == "SR"


def test_every_reference_of_the_report_exists_in_orthanc(filled: Walk, report: Dataset) -> None:
    cases = reported_cases(report)
    assert cases
    for case in cases:
        for uid in (case.study_instance_uid, case.series_instance_uid, case.sop_instance_uid):
            assert looked_up(filled, uid), uid


def test_dsrdump_and_dciodvfy_find_no_error(report: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    report.save_as(path, enforce_file_format=True)
    dumped = subprocess.run(["/usr/bin/dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert dumped.returncode == 0, dumped.stderr
    assert "E:" not in dumped.stderr
    verified = subprocess.run(["/usr/bin/dciodvfy", str(path)], capture_output=True, text=True, check=False)
    said = (verified.stdout + verified.stderr).splitlines()
    assert [line for line in said if line.startswith("Error")] == []


def test_the_same_question_by_http_and_through_orthanc_gives_the_same_matches(
    filled: Walk, archived: Sequence[WrittenStudy]
) -> None:
    for study in archived[::5]:
        directly = ask_by_http(filled, study.study_instance_uid)
        assert directly == ask_through_orthanc(filled, study.study_instance_uid)
        assert study.study_instance_uid not in {match["study_instance_uid"] for match in directly}


def test_a_study_sent_to_the_ae_and_the_same_study_asked_by_http_give_the_same_matches(
    filled: Walk, archived: Sequence[WrittenStudy]
) -> None:
    study = next(study for study in archived if study.family == "abdomen-ct")
    sent = reported_cases(answer_to(filled, study.paths))
    asked = ask_by_http(filled, study.study_instance_uid)
    assert [case.sop_instance_uid for case in sent] == [match["sop_instance_uid"] for match in asked]
    assert [case.score for case in sent] == pytest.approx([match["score"] for match in asked], abs=2e-3)


def test_what_is_sent_to_the_ae_is_not_archived(
    filled: Walk, report: Dataset, unknown: Mapping[str, WrittenStudy]
) -> None:
    assert report is not None
    assert not looked_up(filled, unknown["brain-mr"].study_instance_uid)


def test_a_match_can_be_retrieved_where_the_answer_says(
    filled: Walk, archived: Sequence[WrittenStudy]
) -> None:
    match = ask_by_http(filled, archived[0].study_instance_uid)[0]
    viewer = match["links"]["Orthanc Explorer"]  # type: ignore[index]
    series = viewer.rsplit("uuid=", 1)[1]
    answer = httpx.get(
        f"{filled.orthanc.http_url}/series/{series}", auth=filled.orthanc.auth, trust_env=False, timeout=120
    )
    assert answer.json()["MainDicomTags"]["SeriesInstanceUID"] == match["series_instance_uid"]


def test_a_caller_whom_orthanc_does_not_know_gets_nothing(filled: Walk) -> None:
    answer = httpx.post(
        f"{filled.orthanc.http_url}/cbir/api/search",
        json={"example": {"study_instance_uid": "1.2"}},
        headers=ASKING,
        auth=("demo", "wrong"),
        trust_env=False,
        timeout=120,
    )
    assert answer.status_code == 401


def test_a_study_is_found_soon_after_it_arrived(
    filled: Walk, unknown: Mapping[str, WrittenStudy], console: Console
) -> None:
    """And taken out of the answers when it is deleted."""
    study, before = unknown["chest-cr"], filled.service.counts()
    store(study.paths, filled.orthanc.dicom_port, filled.orthanc.ae_title)
    wait_until_indexed(filled, console, series=before["indexed"] + series_count(study))  # type: ignore[index]
    assert [m["body_part_examined"] for m in ask_by_http(filled, study.study_instance_uid)][:4] == [
        "CHEST"
    ] * 4

    (orthanc_id,) = looked_up(filled, study.study_instance_uid)
    httpx.delete(
        f"{filled.orthanc.http_url}/studies/{orthanc_id}",
        auth=filled.orthanc.auth,
        trust_env=False,
        timeout=120,
    ).raise_for_status()
    until(lambda: filled.service.counts() == before)
    answer = httpx.post(
        f"{filled.service.url}/api/search",
        json={"example": {"study_instance_uid": study.study_instance_uid}},
        headers=ASKING,
        trust_env=False,
        timeout=120,
    )
    assert answer.status_code == 404
    other = reported_cases(answer_to(filled, study.paths))
    assert study.study_instance_uid not in {case.study_instance_uid for case in other}


def test_a_killed_service_answers_the_question_after_its_restart(
    filled: Walk, unknown: Mapping[str, WrittenStudy], studies: Sequence[WrittenStudy]
) -> None:
    """Killed between the acknowledgement of the last instance and the answer, which it was to wait with."""
    environment = filled.service.environment
    filled.service.stop()
    filled.service.environment = {**environment, "CBIR_QUESTION_QUIET_S": "300"}
    filled.service.start()
    try:
        store(unknown["spine-mr"].paths, filled.service.dimse_port, "CBIR")
        filled.service.kill()
        assert filled.workstation.received.empty()
    finally:
        filled.service.stop()
        filled.service.environment = environment
        filled.service.start()
    report = filled.workstation.next_report(ANSWER_WAIT_S)
    assert report is not None, filled.service.log_path.read_text()[-3000:]
    assert families(reported_cases(report), studies)[:4] == ["spine-mr"] * 4


def test_a_killed_service_leaves_no_process_behind(filled: Walk) -> None:
    """The engine and the worker end when the service that started them is gone."""
    children = children_of(filled)
    assert len(children) >= 2
    filled.service.kill()
    until(lambda: not any(runs(pid) for pid in children))
    filled.service.start()
    until(lambda: len(children_of(filled)) >= 2)


def children_of(walk: Walk) -> list[int]:
    """The processes that the service started, by the parent in /proc."""
    pid = walk.service.pid
    assert pid is not None
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; nobody may ask how an orphan ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
