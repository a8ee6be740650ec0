"""The command does the whole job on a folder of DICOM files, with no PACS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest

from demo.families import WrittenStudy, write_studies

MODELS = Path(__file__).parents[2] / "models"
PER_FAMILY = 3


class Command:
    """`cbir` in a process of its own, on one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CBIR_")},
            "CBIR_DATA_DIR": str(data_dir),
            "CBIR_ENCODERS_DIR": str(MODELS),
        }

    def __call__(self, *arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cbir", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever was printed
        return json.loads(self(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    return list(write_studies(tmp_path_factory.mktemp("studies"), per_family=PER_FAMILY))


@pytest.fixture(scope="module")
def folder(studies: Sequence[WrittenStudy]) -> Path:
    return studies[0].paths[0].parents[2]


@pytest.fixture(scope="module")
def cbir(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Command:
    """After `cbir index FOLDER`."""
    command = Command(tmp_path_factory.mktemp("data"))
    done = command("index", str(folder))
    assert "indexed 18" in done.stdout
    return command


def test_status_counts_what_was_indexed(cbir: Command) -> None:
    status = cbir.json("status")
    assert status["series"] == {"waiting": 0, "leased": 0, "indexed": 18, "skipped": 0, "failed": 0}
    rows = [json.loads(line) for line in cbir("status", "--series", "--json").stdout.splitlines()]
    assert len(rows) == 18
    assert {row["state"] for row in rows} == {"indexed"}
    assert {row["orthanc_id"] for row in rows} == {None}


def test_search_by_study_finds_its_family(cbir: Command, studies: Sequence[WrittenStudy]) -> None:
    for study in studies[:: PER_FAMILY + 1]:
        matches = cbir.json("search", "--study", study.study_instance_uid, "--limit", "2")["matches"]
        family = {s.study_instance_uid for s in studies if s.family == study.family}
        assert {match["study_instance_uid"] for match in matches} == family - {study.study_instance_uid}


def test_search_by_files_gives_the_same_as_by_their_study(
    cbir: Command, studies: Sequence[WrittenStudy]
) -> None:
    study = studies[0]
    by_study = cbir.json("search", "--study", study.study_instance_uid)["matches"]
    by_files = cbir.json("search", "--example", str(study.paths[0].parent))["matches"]
    assert [m["sop_instance_uid"] for m in by_files] == [m["sop_instance_uid"] for m in by_study]
    assert {m["retrieve_url"] for m in by_files} == {None}, "a folder's studies are in no Orthanc"


def test_search_prints_references_for_a_person(cbir: Command, studies: Sequence[WrittenStudy]) -> None:
    printed = cbir("search", "--example", str(studies[0].paths[0]), "--limit", "1").stdout
    assert studies[0].study_instance_uid not in printed
    assert "Not for diagnosis" in printed
    assert any(study.study_instance_uid in printed for study in studies)


def test_what_is_wrong_is_one_line_that_says_what_to_do(cbir: Command, tmp_path: Path) -> None:
    unknown = cbir("search", "--study", "1.2.3", fails=True)
    assert "check the UID" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert "--study" in cbir("search", fails=True).stderr
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM")
    assert "Traceback" not in cbir("search", "--example", str(text), fails=True).stderr


def test_indexing_again_changes_nothing_and_a_removed_study_leaves(
    studies: Sequence[WrittenStudy], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    for study in studies[:2]:
        shutil.copytree(study.paths[0].parent, archive / study.paths[0].parent.name)
    cbir = Command(tmp_path / "data")
    cbir("index", str(archive))
    assert "indexed 4" in cbir("index", str(archive)).stdout
    shutil.rmtree(archive / studies[0].paths[0].parent.name)
    assert "indexed 2" in cbir("index", str(archive)).stdout


def test_files_that_are_no_instances_are_counted_with_their_reasons(
    studies: Sequence[WrittenStudy], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(studies[0].paths[0].parent, archive)
    first = studies[0].paths[0]
    shutil.copy(first, archive / "zz-again.dcm")
    (archive / "notes.txt").write_text("not DICOM")
    without = pydicom.dcmread(first)
    del without.SeriesInstanceUID
    without.save_as(archive / "DOE-JANE.dcm")
    printed = Command(tmp_path / "data")("index", str(archive)).stdout
    assert "1 files rejected: no_uids" in printed
    assert "1 files are not DICOM" in printed
    assert "1 files repeat an instance" in printed
    assert "DOE" not in printed


def test_two_folders_add_up(studies: Sequence[WrittenStudy], tmp_path: Path) -> None:
    cbir = Command(tmp_path / "data")
    cbir("index", str(studies[0].paths[0].parent))
    assert "indexed 4" in cbir("index", str(studies[1].paths[0].parent)).stdout


def test_a_broken_file_fails_with_a_reason_and_retry_puts_it_back(
    studies: Sequence[WrittenStudy], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    whole = studies[-1].paths[0].read_bytes()
    (archive / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    cbir = Command(tmp_path / "data")
    assert "failed 1" in cbir("index", str(archive)).stdout
    assert cbir.json("status")["reasons"] == {"truncated_pixel_data": 1}
    assert cbir("retry").stdout.startswith("1 ")
    assert cbir.json("status")["series"]["waiting"] == 1


def test_an_option_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    cbir = Command(tmp_path / "data")
    cbir.environment["CBIR_HTTP_PORT"] = "eighty"
    assert "CBIR_HTTP_PORT" in cbir("status", fails=True).stderr


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path, folder: Path) -> None:
    cbir = Command(tmp_path / "data")
    cbir.environment["CBIR_ENCODER"] = "nothing"
    said = cbir("index", str(folder), fails=True).stderr
    assert "nothing" in said
    assert "Traceback" not in said


def test_the_table_of_options_is_printed(cbir: Command) -> None:
    assert "| `CBIR_CALLERS` |" in cbir("configuration").stdout
