from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from cbir.ports import free_port
from demo.orthanc import PLUGIN_SCRIPT, find_orthanc
from tests.deployment.conftest import ROOT, Composed
from tests.deployment.orthanc_image import Configuration, configuration

START_S = 180.0


@pytest.fixture
def started_with(composed: Composed) -> Configuration:
    """What Orthanc gets in the container."""
    environment = composed["services"]["orthanc"]["environment"]
    return configuration((ROOT / "orthanc.json").read_text(), environment)


def test_the_container_is_reached_with_names_and_passwords_only(started_with: Configuration) -> None:
    assert started_with["RemoteAccessAllowed"] is True
    assert started_with["AuthenticationEnabled"] is True
    assert set(started_with["RegisteredUsers"]) == {"admin", "cbir"}
    assert all(
        isinstance(password, str) and password for password in started_with["RegisteredUsers"].values()
    )
    assert started_with["HttpCompressionEnabled"] is False


def test_the_index_is_in_postgresql_and_the_images_are_in_the_volume(
    started_with: Configuration, composed: Composed
) -> None:
    section = started_with["PostgreSQL"]
    assert (section["Host"], section["Port"], section["Database"]) == ("postgresql", 5432, "orthanc")
    assert (section["EnableIndex"], section["EnableStorage"]) == (True, False)
    password = composed["services"]["postgresql"]["environment"]["ORTHANC_DATABASE_PASSWORD"]
    assert section["Password"] == password
    assert started_with["StorageDirectory"].startswith("/var/lib/orthanc/")


def test_cbir_is_known_by_the_address_that_it_has(started_with: Configuration, composed: Composed) -> None:
    address = composed["services"]["indexer"]["networks"]["archive"]["ipv4_address"]
    assert started_with["DicomModalities"]["cbir"]["Host"] == address
    assert started_with["CBIR"]["IndexerUrl"] == "http://indexer:8090"
    assert started_with["Plugins"] == ["/usr/share/orthanc/plugins/"]


@pytest.mark.orthanc
def test_a_real_orthanc_starts_with_it_and_loads_the_plugin(
    started_with: Configuration, orthanc_binary: Path, tmp_path: Path
) -> None:
    """On other ports and folders, and without the PostgreSQL plugin, which the distribution has apart."""
    port = free_port()
    moved = {
        "HttpPort": port,
        "DicomPort": free_port(),
        "StorageDirectory": str(tmp_path / "db"),
        "IndexDirectory": str(tmp_path / "db"),
        "Plugins": [str(find_orthanc()[1])],
        "PythonScript": str(PLUGIN_SCRIPT.absolute()),
    }
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps({**started_with, **moved}))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [orthanc_binary, file], env=environment, stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        admin = ("admin", str(started_with["RegisteredUsers"]["admin"]))
        deadline = time.monotonic() + START_S
        while not _answers(port, admin):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
            time.sleep(0.2)
        assert httpx.get(f"http://127.0.0.1:{port}/system", trust_env=False, timeout=120).status_code == 401
        # The indexer's name means nothing here: that the plugin says so shows that it is there.
        asked = httpx.get(f"http://127.0.0.1:{port}/cbir/", auth=admin, trust_env=False, timeout=120)
        assert asked.status_code == 503, asked.text
    finally:
        process.terminate()
        process.wait(120)
    assert "CBIR: started indexer=http://indexer:8090" in (tmp_path / "log").read_text() or (
        "indexer_not_encrypted" in (tmp_path / "log").read_text()
    )


def _answers(port: int, user: tuple[str, str]) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/system", auth=user, trust_env=False, timeout=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
