from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cbir_settings import read_settings

from demo.orthanc import LocalOrthanc, OrthancMissing, OrthancNotReady, find_orthanc
from tests.conftest import StartOrthanc
from tests.fakes.studies import SENDER, send, small_series

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "orthanc.json"
INSTALL = ROOT / "demo" / "install_orthanc.sh"


def test_a_missing_orthanc_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORTHANC_BINARY", "/not/there")
    with pytest.raises(OrthancMissing, match="apt-get install orthanc orthanc-python"):
        find_orthanc()


def test_a_missing_python_plugin_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORTHANC_BINARY", sys.executable)
    monkeypatch.setenv("ORTHANC_PYTHON_PLUGIN", "/not/there")
    with pytest.raises(OrthancMissing, match="libOrthancPython"):
        find_orthanc()


def test_a_program_that_ends_at_once_is_said_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "Orthanc"
    program.write_text("#!/bin/sh\necho the disk is full\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("ORTHANC_BINARY", str(program))
    monkeypatch.setenv("ORTHANC_PYTHON_PLUGIN", str(program))
    with pytest.raises(OrthancNotReady, match="the disk is full"), LocalOrthanc(tmp_path / "o"):
        pass


@pytest.mark.orthanc
def test_it_keeps_to_itself(start_orthanc: StartOrthanc) -> None:
    orthanc = start_orthanc(modalities={SENDER: ("127.0.0.1", 104), "ELSEWHERE": ("192.0.2.1", 104)})
    assert httpx.get(f"{orthanc.http_url}/system", trust_env=False, timeout=120).status_code == 401
    with pytest.raises(AssertionError):
        send(orthanc, small_series(1).instances, sender="STRANGER")
    with pytest.raises(AssertionError):
        send(orthanc, small_series(1).instances, sender="ELSEWHERE")
    orthanc.ae_title, rightful = "CIBR", orthanc.ae_title
    with pytest.raises(AssertionError):
        send(orthanc, small_series(1).instances)
    orthanc.ae_title = rightful
    assert send(orthanc, small_series(1).instances) == [0]
    assert orthanc.password not in repr(orthanc)
    assert (orthanc.folder / "orthanc.json").stat().st_mode & 0o077 == 0


@pytest.mark.orthanc
def test_what_it_was_sent_survives_its_death(start_orthanc: StartOrthanc) -> None:
    orthanc = start_orthanc(modalities={SENDER: ("127.0.0.1", 104)})
    series = small_series(2)
    send(orthanc, series.instances)
    orthanc.kill()
    assert orthanc.pid is None
    orthanc.restart()
    with orthanc.client() as client:
        assert client.get("/series").json() == [series.orthanc_id]


@pytest.mark.orthanc
def test_nothing_listens_after_it_has_stopped(start_orthanc: StartOrthanc) -> None:
    orthanc = start_orthanc()
    orthanc.stop()
    orthanc.stop()
    for port in (orthanc.http_port, orthanc.dicom_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def _example() -> dict[str, object]:
    without_comments = re.sub(r"^\s*//.*$|(?<=[,\s])//.*$", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    read = json.loads(without_comments)
    assert isinstance(read, dict)
    return read


def test_the_example_configuration_is_closed_and_holds_no_secret() -> None:
    example = _example()
    assert example["AuthenticationEnabled"] is True
    assert example["DicomCheckCalledAet"] is True
    assert example["DicomCheckModalityHost"] is True
    assert example["RemoteAccessAllowed"] is False
    assert example["HttpCompressionEnabled"] is False
    assert example["RegisteredUsers"] == {}
    assert {value for name, value in example.items() if name.startswith("DicomAlwaysAllow")} == {False}
    section = example["CBIR"]
    assert isinstance(section, dict)
    assert section["Secret"] == "${CBIR_PLUGIN_SECRET}"
    assert read_settings({"CBIR": {**section, "IndexerUrl": "http://127.0.0.1:8090"}}, str(EXAMPLE))


@pytest.mark.orthanc
def test_a_real_orthanc_takes_the_example_configuration(orthanc_binary: Path, tmp_path: Path) -> None:
    """The example as it stands, but for the ports and a user."""
    made = LocalOrthanc(tmp_path)
    ports = {"8042": made.http_port, "4242": made.dicom_port}
    text = re.sub(r"\b(8042|4242)(?=,)", lambda found: str(ports[found[1]]), EXAMPLE.read_text())
    users = f'"RegisteredUsers" : {{ "{made.user}" : "{made.password}"'
    text = text.replace('"RegisteredUsers" : {', users)
    configuration = tmp_path / "example.json"
    configuration.write_text(text)
    _, python_plugin = find_orthanc()
    environment = {
        "ORTHANC_STORAGE": str(tmp_path / "db"),
        "ORTHANC_PLUGINS": str(python_plugin),
        "CBIR_PLUGIN_SCRIPT": str(ROOT / "plugin" / "cbir_plugin.py"),
        "CBIR_PLUGIN_SECRET": "s3cret",
        "CBIR_INDEXER_URL": "http://127.0.0.1:9",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/sbin:/usr/bin:/bin",
    }
    with made.log_path.open("wb") as log:
        made._process = subprocess.Popen(
            [str(orthanc_binary), str(configuration)], env=environment, stdout=log, stderr=log
        )
    try:
        made.wait_ready()
        with made.client() as client:
            assert client.get("/cbir/api/status").json()["reason"] == "indexer_unavailable"
            assert "Find similar cases" in client.get("/plugins/explorer.js").text
            assert client.get("/modalities/cbir/configuration").json()["AET"] == "CBIR"
    finally:
        made.stop()


def test_the_installation_is_done_at_once_where_everything_is_there(orthanc_binary: Path) -> None:
    del orthanc_binary
    done = subprocess.run(["sh", str(INSTALL)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_an_installation_that_cannot_be_done_says_so_and_ends_with_3(tmp_path: Path) -> None:
    """On a machine without apt-get: a PATH that holds nothing but a shell's needs."""
    for name in ("sh", "id", "mktemp", "rm"):
        (tmp_path / name).symlink_to(Path("/bin") / name)
    script = tmp_path / "install.sh"
    moved = INSTALL.read_text().replace("/usr/", "/not/there/").replace("has_orthanc ||", "false ||")
    script.write_text(moved)
    done = subprocess.run(
        ["/bin/sh", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 3
    assert "Missing: orthanc orthanc-python dcmtk" in done.stderr


def test_an_unknown_option_of_the_installation_is_refused() -> None:
    done = subprocess.run(
        ["sh", str(INSTALL), "--all"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "usage" in done.stderr
