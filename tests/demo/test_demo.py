"""`make demo ONCE=1` as a newcomer sees it: with Orthanc, without Orthanc, and with a folder of hers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.families import FAMILIES, write_studies

pytestmark = pytest.mark.timeout(1500)

ROOT = Path(__file__).parents[2]


def run_demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CBIR_")}
    return subprocess.run(
        [sys.executable, "-m", "demo", "--once", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1400,
    )


@pytest.mark.orthanc
@pytest.mark.usefixtures("orthanc_binary")
def test_the_walk_ends_with_the_same_family_first() -> None:
    done = run_demo()
    assert done.returncode == 0, done.stdout + done.stderr
    first = next(line for line in done.stdout.splitlines() if line.startswith("   1  "))
    assert first.endswith("brain-mr")
    assert "The page:" in done.stdout
    assert "contact-sheet.png" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_without_orthanc_it_says_so_and_does_the_job_on_the_folder() -> None:
    done = run_demo(ORTHANC_BINARY="/nonexistent/Orthanc")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No Orthanc here" in done.stdout
    first = next(line for line in done.stdout.splitlines() if line.startswith("   1  "))
    assert first.endswith("brain-mr")


@pytest.mark.orthanc
@pytest.mark.usefixtures("orthanc_binary")
def test_a_folder_of_her_own_is_archived_and_asked_about(tmp_path: Path) -> None:
    chests = tuple(family for family in FAMILIES if family.name == "chest-cr")
    list(write_studies(tmp_path, per_family=4, families=chests))
    done = run_demo("--data", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "   3  " in done.stdout


def test_a_folder_without_images_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    done = run_demo("--data", str(tmp_path))
    assert done.returncode == 1
    assert "DATA=folder" in done.stdout
