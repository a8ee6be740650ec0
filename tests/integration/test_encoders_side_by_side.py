"""Another encoder takes over a running hospital: answers stay whole meanwhile, and there is a way back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cbir.engine_process import running_engine
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import Walk, hospital
from indexer.adapters.qdrant import QdrantIndex
from inference.card import load_card
from tests.fakes.encoders import write_encoder
from tests.fakes.workstation import wait_until
from tests.integration.agreement import Auditor, auditor
from tests.integration.conftest import HTTP_WAIT_S, Programs, series_count, store
from tests.integration.followed import LOOKING_OFTEN

pytestmark = [pytest.mark.orthanc, pytest.mark.timeout(1200)]

MODELS = Path(__file__).parents[2] / "models"
CHOSEN = tuple(family for family in FAMILIES if family.name in ("chest-cr", "spine-mr", "abdomen-ct"))
PER_FAMILY = 4
LIMIT_S = 300.0
SEEN = 20


@dataclass
class Ward:
    """A hospital with two encoders at hand, and its studies."""

    walk: Walk
    encoders_dir: Path
    auditor: Auditor
    sent: list[WrittenStudy]

    def send(self, study: WrittenStudy) -> None:
        store(study.paths, self.walk.orthanc.dicom_port, self.walk.orthanc.ae_title)
        self.sent.append(study)

    @property
    def series(self) -> int:
        return sum(series_count(study) for study in self.sent)

    def status(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.walk.service.url}/api/status", timeout=HTTP_WAIT_S, trust_env=False)
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def ask(self, study: WrittenStudy) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.walk.service.url}/api/search",
            json={
                "example": {"study_instance_uid": study.study_instance_uid},
                "limit": 100,
            },
            headers={"X-CBIR-Request": "1"},
            timeout=HTTP_WAIT_S,
            trust_env=False,
        )
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def wait(self, what: str, is_so: Any) -> None:  # noqa: ANN401 - a predicate of the status
        deadline = time.monotonic() + LIMIT_S
        while not is_so(status := self.status()):
            log = self.walk.service.log_path.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{what}: {status}\n{log}"
            time.sleep(0.1)

    def wait_until_indexed(self) -> None:
        self.wait("all indexed", lambda status: status["series"]["indexed"] == self.series)

    def cbir(self, *arguments: str) -> str:
        service = self.walk.service
        environment = {
            **os.environ,
            **service.environment,
            "CBIR_DATA_DIR": str(service.folder / "data"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "cbir", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def held(self, name: str) -> int:
        """How many series the engine holds of this encoder."""
        endpoint = running_engine(self.walk.service.folder / "data")
        assert endpoint is not None
        index = QdrantIndex(endpoint.url, endpoint.api_key)
        try:
            version = load_card(self.encoders_dir / name).encoder_version
            index.prepare(version)
            return len(list(index.archive_ids(version)))
        finally:
            index.close()

    def kill_a_worker(self) -> None:
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines()[1:]:
            pid, parent, arguments = line.split(None, 2)
            if int(parent) == self.walk.service.pid and "cbir worker" in arguments:
                os.kill(int(pid), signal.SIGKILL)
                return
        raise AssertionError("no worker runs")


@dataclass
class Asking:
    """Asks again and again, and keeps what is wrong with an answer."""

    ward: Ward
    study: WrittenStudy
    least: int
    faults: list[str] = field(default_factory=list)
    encoders: list[str] = field(default_factory=list)

    def __enter__(self) -> Asking:
        """Begin, and wait for a first answer."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        wait_until(lambda: bool(self.encoders or self.faults), LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def until_answered_by(self, encoder: str) -> None:
        """Wait until the encoder has answered a few times in a row."""
        wait_until(lambda: self.encoders[-SEEN:] == [encoder] * SEEN, LIMIT_S)

    def listed(self) -> int:
        """How many other studies the page lists."""
        answer = httpx.get(
            f"{self.ward.walk.service.url}/api/studies",
            params={"limit": 100},
            timeout=HTTP_WAIT_S,
            trust_env=False,
        )
        return len(answer.raise_for_status().json()["studies"]) - 1

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            try:
                answer, listed = self.ward.ask(self.study), self.listed()
            except httpx.HTTPError as error:
                self.faults.append(repr(error))
                continue
            self.encoders.append(answer["encoder"]["name"])
            if listed < self.least:
                self.faults.append("a study is not listed while it can be found")
            if len(answer["matches"]) < self.least:
                self.faults.append(f"{len(answer['matches'])} matches by {self.encoders[-1]}")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    folder = tmp_path_factory.mktemp("studies")
    return list(write_studies(folder, per_family=PER_FAMILY, families=CHOSEN))


@pytest.fixture(scope="module")
def ward(
    tmp_path_factory: pytest.TempPathFactory, programs: Programs, studies: Sequence[WrittenStudy]
) -> Iterator[Ward]:
    encoders_dir = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "grey32", encoders_dir / "grey32")
    write_encoder(encoders_dir, "squares", side=24)
    # One worker with one lane, whose leases end soon: there is time to look, and to be killed.
    options = LOOKING_OFTEN | {
        "CBIR_ENCODERS_DIR": str(encoders_dir),
        "CBIR_LANES": "1",
        "CBIR_ENCODER": "grey32",
    }
    folder = tmp_path_factory.mktemp("hospital")
    with (
        hospital(folder, options, programs=programs, stable_age_s=2) as walk,
        auditor(walk, folder / "judge", encoder="grey32") as judge,
    ):
        yield Ward(walk, encoders_dir, judge, [])


def test_another_encoder_takes_over_and_gives_back(ward: Ward, studies: list[WrittenStudy]) -> None:
    *first, late = studies
    for study in first:
        ward.send(study)
    ward.wait_until_indexed()
    ward.auditor.rest()  # a series that was looked at while it grew is looked at again, and scores otherwise
    before = ward.ask(first[0])
    assert (before["encoder"]["name"], len(before["matches"])) == ("grey32", len(first) - 1)
    _take_over(ward, first, late)
    _give_back(ward, first, before)
    _retire(ward, late)


def _take_over(ward: Ward, first: Sequence[WrittenStudy], late: WrittenStudy) -> None:
    """A worker is killed and a study arrives half-way; nobody who asks notices more than the switch."""
    with Asking(ward, first[0], len(first) - 1) as asking:
        assert "squares@" in ward.cbir("encoders", "activate", "squares")
        ward.wait("filling", lambda s: (s["beside"] or {"filled": 0})["filled"] >= 2 or _is_switched(s))
        ward.kill_a_worker()
        ward.send(late)
        ward.wait("switched", _is_switched)
        asking.until_answered_by("squares")
    assert asking.faults == []
    assert asking.encoders[0] == "grey32"
    assert asking.encoders[-1] == "squares"
    assert sorted(asking.encoders) == asking.encoders, "answers came from one after the other, never mixed"
    ward.wait_until_indexed()
    ward.wait("both filled", lambda s: s["beside"]["filled"] == s["beside"]["total"] == ward.series)
    assert ward.held("grey32") == ward.held("squares") == ward.series


def _give_back(ward: Ward, first: Sequence[WrittenStudy], before: dict[str, Any]) -> None:
    with Asking(ward, first[0], len(first) - 1) as asking:
        assert "grey32@" in ward.cbir("encoders", "roll-back")
        asking.until_answered_by("grey32")
    assert asking.faults == []
    assert asking.encoders[-1] == "grey32"
    again = ward.ask(first[0])
    assert len(again["matches"]) == len(first)
    scores = {match["study_instance_uid"]: match["score"] for match in again["matches"]}
    former = {match["study_instance_uid"]: match["score"] for match in before["matches"]}
    assert {study: scores[study] for study in former} == pytest.approx(former, abs=1e-6)


def _retire(ward: Ward, late: WrittenStudy) -> None:
    assert "squares@" in ward.cbir("encoders", "retire")
    assert ward.held("squares") == 0
    assert ward.held("grey32") == ward.series
    assert ward.status()["beside"] is None
    assert json.loads(ward.cbir("status", "--json"))["beside"] is None
    assert len(ward.ask(late)["matches"]) == len(ward.sent) - 1


def _is_switched(status: dict[str, Any]) -> bool:
    return [encoder["name"] for encoder in status["encoders"]] == ["squares"]
