"""Every process is killed in turn, again and again, while studies keep arriving: nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from demo.families import WrittenStudy, write_studies
from tests.fakes.workstation import wait_until
from tests.integration.conftest import STORESCU, Programs
from tests.integration.followed import Followed, followed, series_ids

pytestmark = pytest.mark.orthanc

ROUNDS = 3
BETWEEN_KILLS_S = 1.0
BETWEEN_STUDIES_S = 0.3
SEND_AGAIN_S = 0.5
SEND_LIMIT_S = 120.0
CHILD_WAIT_S = 120.0


class Modality:
    """Sends studies one after another, and each until Orthanc has taken all of it, as a modality does."""

    def __init__(self, house: Followed, folder: Path) -> None:
        self._house = house
        self._studies = endless_studies(folder)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.sent: list[WrittenStudy] = []

    def __enter__(self) -> Modality:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The last study is sent to its end."""
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.wait(BETWEEN_STUDIES_S):
            study = next(self._studies)
            deadline = time.monotonic() + SEND_LIMIT_S
            while not self._took(study) and time.monotonic() < deadline:
                time.sleep(SEND_AGAIN_S)
            self.sent.append(study)

    def _took(self, study: WrittenStudy) -> bool:
        orthanc = self._house.walk.orthanc
        command = [STORESCU, "-to", "5", "-ta", "10", "-td", "10", "-aet", "WORKSTATION"]
        address = ["-aec", orthanc.ae_title, "127.0.0.1", str(orthanc.dicom_port)]
        done = subprocess.run([*command, *address, *map(str, study.paths)], capture_output=True, check=False)
        return done.returncode == 0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Followed]:
    with followed(tmp_path_factory.mktemp("house"), programs) as running:
        yield running


def test_nothing_is_lost_when_every_process_is_killed_in_turn(house: Followed, tmp_path: Path) -> None:
    with Modality(house, tmp_path) as modality:
        for _ in range(ROUNDS):
            before = len(modality.sent)
            for kill in (kill_orthanc, kill_worker, kill_engine, kill_service):
                time.sleep(BETWEEN_KILLS_S)
                kill(house)
            wait_until(lambda before=before: len(modality.sent) > before, SEND_LIMIT_S)  # type: ignore[misc]
    house.auditor.agree()
    expected = {archive_id for study in modality.sent for archive_id in series_ids(study.paths)}
    assert set(house.auditor.points()) == expected


def endless_studies(folder: Path) -> Iterator[WrittenStudy]:
    """One of each family, then another of each, and so on."""
    for seed in count():
        yield from write_studies(folder / str(seed), per_family=1, seed=seed)


def kill_orthanc(house: Followed) -> None:
    house.walk.orthanc.kill()
    house.walk.orthanc.restart()


def kill_service(house: Followed) -> None:
    house.walk.service.kill()
    house.walk.service.start()


def kill_worker(house: Followed) -> None:
    kill_child(house, "cbir")


def kill_engine(house: Followed) -> None:
    kill_child(house, "engine")


def kill_child(house: Followed, module: str) -> None:
    """The supervisor starts it again; one that still waits for its restart is waited for."""
    while True:
        pid = until_found(lambda: child_of(house, module))
        with suppress(ProcessLookupError):  # it ended by itself meanwhile
            os.kill(pid, signal.SIGKILL)
            return


def child_of(house: Followed, module: str) -> int | None:
    """The process `python -m module` that the service started and that has not ended."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == house.walk.service.pid and words[1:3] == [b"-m", module.encode()]:
            return int(process.name)
    return None


def until_found(find: Callable[[], int | None]) -> int:
    deadline = time.monotonic() + CHILD_WAIT_S
    while (found := find()) is None:
        assert time.monotonic() < deadline, "there is no such process"
        time.sleep(0.1)
    return found
