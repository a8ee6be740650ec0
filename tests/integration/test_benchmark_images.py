"""The walk on real images: brain MR of many patients and chest X-rays, wrapped as DICOM studies."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from demo.report import reported_cases
from demo.walk import Walk
from tests.integration.conftest import (
    answer_to,
    ask_by_http,
    ask_through_orthanc,
    looked_up,
    wait_until_indexed,
)

pytestmark = [pytest.mark.orthanc, pytest.mark.shared_data, pytest.mark.timeout(1800)]

STORESCU = "/usr/bin/storescu"
DATASETS = ("lgg_multiseq_mr", "pneumonia_cxr")


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images as DICOM files, with truth.csv beside them."""
    named = os.environ.get("CBIR_TEST_DATA")
    if not named:
        pytest.skip("CBIR_TEST_DATA names no benchmark images")
    script = Path(named).parent / "tools" / "bench_to_dicom.py"
    folder = tmp_path_factory.mktemp("benchmark")
    chosen = [word for dataset in DATASETS for word in ("--dataset", dataset)]
    subprocess.run([sys.executable, str(script), f"{named}/bench", str(folder), *chosen], check=True)
    return folder


@pytest.fixture(scope="module")
def truth(wrapped: Path) -> list[dict[str, str]]:
    """A row for each instance."""
    with (wrapped / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def studies(wrapped: Path, truth: Sequence[Mapping[str, str]]) -> dict[str, list[Path]]:
    """The files of each brain MR study, by its UID."""
    found: dict[str, list[Path]] = defaultdict(list)
    for row in truth:
        if row["dataset"] == "lgg_multiseq_mr":
            found[row["study_instance_uid"]].append(wrapped / row["path"])
    return found


@pytest.fixture(scope="module")
def filled(walk: Walk, wrapped: Path, truth: Sequence[Mapping[str, str]]) -> Walk:
    """After dcmtk's storescu sent all of it in one association."""
    scan = ["+sd", "+r", "+sp", "*.dcm"]
    sender = [STORESCU, "-aet", "WORKSTATION", "-aec", walk.orthanc.ae_title, *scan]
    subprocess.run([*sender, "127.0.0.1", str(walk.orthanc.dicom_port), str(wrapped)], check=True)
    series = {row["series_instance_uid"] for row in truth}
    wait_until_indexed(walk, Console(quiet=True), series=len(series))
    return walk


def test_every_series_is_indexed_and_a_study_sent_to_cbir_is_answered(
    filled: Walk, studies: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    report = answer_to(filled, next(iter(studies.values())))
    cases = reported_cases(report)
    assert len(cases) == 10
    assert {case.study_instance_uid for case in cases} <= set(studies)
    assert all(looked_up(filled, case.sop_instance_uid) for case in cases)
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    subprocess.run(["/usr/bin/dsrdump", str(tmp_path / "report.dcm")], check=True, capture_output=True)
    command = ["/usr/bin/dciodvfy", str(tmp_path / "report.dcm")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (verified.stdout + verified.stderr).splitlines()
    assert [line for line in said if line.startswith("Error")] == []


def test_brain_and_chest_are_told_apart(filled: Walk, truth: Sequence[Mapping[str, str]]) -> None:
    modality = {row["study_instance_uid"]: row["modality"] for row in truth}
    for study in sorted(modality)[::100]:
        matches = ask_by_http(filled, study)
        assert {match["modality"] for match in matches[:3]} == {modality[study]}


def test_http_and_orthanc_give_the_same_matches(filled: Walk, studies: Mapping[str, Sequence[Path]]) -> None:
    for study in list(studies)[:5]:
        assert ask_by_http(filled, study) == ask_through_orthanc(filled, study)
