"""`cbir doctor` on a real hospital: all is well, then one thing after the other breaks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.orthanc import LocalOrthanc
from demo.walk import Walk

pytestmark = pytest.mark.orthanc


def doctor(walk: Walk, status: int, **changed: str) -> Mapping[str, tuple[str, str]]:
    """Level and advice by check; `status` is the exit status that is expected."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CBIR_")},
        "CBIR_DATA_DIR": str(walk.service.folder / "data"),
        "CBIR_HTTP_PORT": str(walk.service.http_port),
        "CBIR_DIMSE_PORT": str(walk.service.dimse_port),
        **walk.service.environment,
        **changed,
    }
    done = subprocess.run(
        [sys.executable, "-m", "cbir", "doctor", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    found = {f["check"]: (f["level"], f["advice"]) for f in report["findings"]}
    assert done.returncode == (1 if "problem" in {level for level, _ in found.values()} else 0), done.stderr
    assert done.returncode == status, report
    return found


def problems(found: Mapping[str, tuple[str, str]]) -> set[str]:
    return {check for check, (level, _) in found.items() if level == "problem"}


def test_a_hospital_that_is_well_has_no_finding_but_the_age_of_its_orthanc(walk: Walk) -> None:
    found = doctor(walk, status=0)
    assert {check for check, (level, _) in found.items() if level != "ok"} <= {
        "orthanc_version",
        "tcp_nodelay",
        "disk",
    }
    assert {
        "plugin",
        "echo_from_orthanc",
        "echo_to_orthanc",
        "own_entity",
        "vectors",
        "ledger",
    } <= found.keys()
    assert {"caller_WORKSTATION", "caller_ORTHANC"} <= found.keys()


def test_nothing_that_is_said_holds_a_secret(walk: Walk) -> None:
    said = str(doctor(walk, status=0))
    assert walk.orthanc.password not in said
    assert walk.service.environment["CBIR_PLUGIN_SECRET"] not in said


def test_a_wrong_password_is_told_from_an_orthanc_that_is_down(walk: Walk) -> None:
    wrong = doctor(walk, status=1, CBIR_ORTHANC_PASSWORD="wrong")
    assert problems(wrong) == {"orthanc"}
    assert "password" in wrong["orthanc"][1]
    down = doctor(walk, status=1, CBIR_ORTHANC_URL="http://127.0.0.1:9")
    assert "Start it" in down["orthanc"][1]


def test_a_caller_that_does_not_listen_is_named(walk: Walk) -> None:
    callers = walk.service.environment["CBIR_CALLERS"] + ",GONE=127.0.0.1:9"
    assert problems(doctor(walk, status=1, CBIR_CALLERS=callers)) == {"caller_GONE"}


def test_settings_that_are_wrong_in_themselves_are_a_finding(walk: Walk) -> None:
    found = doctor(walk, status=1, CBIR_HTTP_PORT="many")
    assert problems(found) == {"settings"} == set(found)
    assert "CBIR_HTTP_PORT" in found["settings"][1]


def test_a_damaged_encoder_is_a_problem_beside_which_the_rest_is_looked_at(
    walk: Walk, tmp_path: Path
) -> None:
    shipped = Path(walk.service.environment["CBIR_ENCODERS_DIR"])
    for folder in (folder for folder in shipped.iterdir() if folder.is_dir()):
        shutil.copytree(folder, tmp_path / folder.name)
        (tmp_path / folder.name / "encoder.onnx").write_bytes(b"damaged")
    found = doctor(walk, status=1, CBIR_ENCODERS_DIR=str(tmp_path))
    assert problems(found) == {"encoder"}
    assert found["ledger"][0] == "ok"


def test_a_plugin_that_is_missing_or_has_another_secret_is_told(walk: Walk, tmp_path: Path) -> None:
    with LocalOrthanc(tmp_path / "bare") as bare:
        found = doctor(walk, status=1, **_of(bare))
        assert "PythonScript" in found["plugin"][1]
    with LocalOrthanc(tmp_path / "other", indexer_url=walk.service.url, secret="of another house") as other:
        found = doctor(walk, status=1, **_of(other))
        assert "plugin" in problems(found)
        assert "CBIR_PLUGIN_SECRET" in found["plugin"][1]
        assert "DicomModalities" in found["echo_from_orthanc"][1]


def test_while_the_service_does_not_run_the_rest_is_looked_at(walk: Walk) -> None:
    walk.service.stop()
    try:
        found = doctor(walk, status=0)
    finally:
        walk.service.start()
    assert {c for c, (level, _) in found.items() if level == "warning"} >= {"service", "plugin", "own_entity"}
    assert found["vectors"][0] == found["ledger"][0] == "ok"


def _of(orthanc: LocalOrthanc) -> dict[str, str]:
    return {
        "CBIR_ORTHANC_URL": orthanc.http_url,
        "CBIR_ORTHANC_USER": orthanc.user,
        "CBIR_ORTHANC_PASSWORD": orthanc.password,
    }
