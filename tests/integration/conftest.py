"""A private hospital with synthetic studies in it: real Orthanc, real service, real DICOM clients."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from rich.console import Console

from cbir.progress import watch_until_done
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.orthanc import OrthancMissing, find_orthanc
from demo.walk import Walk, hospital

STORESCU = "/usr/bin/storescu"
MODERN_ORTHANC = "pacs-cbir-modern-orthanc"
PER_FAMILY = 4
INDEX_WAIT_S = 600.0
ANSWER_WAIT_S = 300.0
HTTP_WAIT_S = 120.0
SETTLED_S = 3.0
ASKING = {"X-CBIR-Request": "1"}

Ask = Callable[[str], list[dict[str, object]]]
Programs = tuple[Path, Path]

LIMIT_S = 1500
"""Against hanging only: a test waits for a whole hospital, whose machine may have much else to do."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give the tests of this folder that have no limit of their own a generous one."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="module")
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="session", params=["this machine's Orthanc", "a current Orthanc"])
def programs(request: pytest.FixtureRequest) -> Programs:
    """Orthanc and its Python plugin: the distribution's, and the one of tests/install_modern_orthanc.sh."""
    if request.param == "this machine's Orthanc":
        return _programs_of_this_machine()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("CBIR_MODERN_ORTHANC") or cache / MODERN_ORTHANC)
    if not (folder / "Orthanc").exists():
        pytest.skip(f"There is no current Orthanc in {folder}: sh tests/install_modern_orthanc.sh")
    return folder / "Orthanc", folder / "libOrthancPython.so"


def _programs_of_this_machine() -> Programs:
    try:
        return find_orthanc()
    except OrthancMissing as missing:
        if os.environ.get("CBIR_REQUIRE_ORTHANC") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """An empty hospital."""
    _programs_of_this_machine()
    with hospital(tmp_path_factory.mktemp("hospital")) as walk:
        yield walk


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    """A few studies of each family, and one more of each that is not archived."""
    return list(write_studies(tmp_path_factory.mktemp("studies"), per_family=PER_FAMILY + 1))


@pytest.fixture(scope="module")
def archived(studies: Sequence[WrittenStudy]) -> list[WrittenStudy]:
    """The studies that the archive holds."""
    held_back = {study.study_instance_uid for study in unknown_of(studies)}
    return [study for study in studies if study.study_instance_uid not in held_back]


@pytest.fixture(scope="module")
def unknown(studies: Sequence[WrittenStudy]) -> dict[str, WrittenStudy]:
    """One study of each family that the archive does not hold."""
    return {study.family: study for study in unknown_of(studies)}


@pytest.fixture(scope="module")
def filled(walk: Walk, archived: Sequence[WrittenStudy], console: Console) -> Walk:
    """The hospital after the archived studies were sent by dcmtk's storescu and indexed."""
    for study in archived:
        store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
    wait_until_indexed(walk, console, series=sum(series_count(study) for study in archived))
    return walk


def unknown_of(studies: Sequence[WrittenStudy]) -> list[WrittenStudy]:
    return list({study.family: study for study in studies}.values())


def series_count(study: WrittenStudy) -> int:
    """How many series a synthetic study has."""
    return len(next(family for family in FAMILIES if family.name == study.family).series)


def store(paths: Sequence[Path], port: int, called_ae_title: str, *options: str) -> None:
    """C-STORE files with dcmtk's storescu, as the workstation."""
    command = [STORESCU, "-aet", "WORKSTATION", "-aec", called_ae_title, *options, "127.0.0.1", str(port)]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wait_until_indexed(walk: Walk, console: Console, *, series: int) -> None:
    """Wait until exactly so many series are indexed and nothing else is open."""
    deadline = time.monotonic() + INDEX_WAIT_S
    while time.monotonic() < deadline:
        counts = watch_until_done(console, walk.service.counts, settled_s=SETTLED_S, limit_s=INDEX_WAIT_S)
        if counts["indexed"] == series:  # type: ignore[index]
            return
    raise AssertionError(f"{series} series should be indexed: {counts}")


def ask_by_http(walk: Walk, study_instance_uid: str) -> list[dict[str, object]]:
    """The matches of POST /api/search at the service itself."""
    return _matches(httpx.Client(base_url=walk.service.url, trust_env=False), study_instance_uid)


def ask_through_orthanc(walk: Walk, study_instance_uid: str) -> list[dict[str, object]]:
    """The matches of the same question through Orthanc's /cbir/."""
    client = httpx.Client(
        base_url=f"{walk.orthanc.http_url}/cbir",
        auth=walk.orthanc.auth,
        headers={"Accept-Encoding": "identity"},
        trust_env=False,
    )
    return _matches(client, study_instance_uid)


def _matches(client: httpx.Client, study_instance_uid: str) -> list[dict[str, object]]:
    question = {"example": {"study_instance_uid": study_instance_uid}, "limit": 10}
    with client:
        answer = client.post("/api/search", json=question, headers=ASKING, timeout=HTTP_WAIT_S)
    assert answer.status_code == 200, answer.text
    matches: list[dict[str, object]] = answer.json()["matches"]
    return matches


def answer_to(walk: Walk, paths: Sequence[Path]) -> Dataset:
    """Send with storescu to the AE title CBIR, and take the report that the workstation receives."""
    store(paths, walk.service.dimse_port, "CBIR")
    report = walk.workstation.next_report(ANSWER_WAIT_S)
    assert report is not None, walk.service.log_path.read_text()[-3000:]
    return report


def calibrate(walk: Walk) -> None:
    """`cbir calibrate`: the service itself looks once a minute."""
    service = walk.service
    environment = {**os.environ, **service.environment, "CBIR_DATA_DIR": str(service.folder / "data")}
    subprocess.run([sys.executable, "-m", "cbir", "calibrate"], env=environment, check=True)


def looked_up(walk: Walk, uid: str) -> list[str]:
    """Orthanc's names of what has this UID."""
    answer = httpx.post(
        f"{walk.orthanc.http_url}/tools/lookup", content=uid, auth=walk.orthanc.auth, trust_env=False
    )
    return [found["ID"] for found in answer.raise_for_status().json()]
