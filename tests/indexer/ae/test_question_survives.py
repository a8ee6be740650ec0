"""What the AE acknowledged is answered, whatever is killed meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cbir.ports import free_port
from tests.fakes.answers import instance, uid, write
from tests.fakes.listing import listed
from tests.fakes.workstation import Workstation, listens, send, wait_until


@contextmanager
def service(spool: Path, port: int, caller: str, gate: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.question_process", str(spool), str(port), caller, str(gate)]
    )
    try:
        wait_until(lambda: listens(port), timeout_s=120)
        yield process
    finally:
        process.kill()
        process.wait()


def records(spool: Path) -> list[Path]:
    return listed(spool, "*/question.json")


def test_an_acknowledged_question_survives_a_kill_and_is_answered_after_the_restart(tmp_path: Path) -> None:
    spool, gate, port = tmp_path / "questions", tmp_path / "gate", free_port()
    paths = write(tmp_path / "q", *(instance("asked", number=n) for n in range(1, 6)))
    with Workstation(tmp_path / "workstation") as workstation:
        caller = f"WS1=localhost:{workstation.port}"
        with service(spool, port, caller, gate):
            assert send(port, paths).returncode == 0
        assert len(list(spool.glob("*/instances/*.dcm"))) == 5
        assert workstation.answers() == []
        gate.touch()
        with service(spool, port, caller, gate):
            [answer] = workstation.waits_for(1)
            assert answer.StudyInstanceUID == uid("asked")
            evidence = answer.CurrentRequestedProcedureEvidenceSequence[0]
            assert len(evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 5
            assert [sheet.StudyInstanceUID for sheet in workstation.sheets()] == [uid("asked")]
            wait_until(lambda: not list(spool.iterdir()))
        with service(spool, port, caller, gate):
            assert len(workstation.answers()) == 1
            assert len(workstation.sheets()) == 1


def test_every_instance_that_was_acknowledged_survives_a_kill_in_the_middle_of_sending(
    tmp_path: Path,
) -> None:
    spool, gate, port = tmp_path / "questions", tmp_path / "gate", free_port()
    paths = write(tmp_path / "q", *(instance("asked", number=n) for n in range(1, 401)))
    with service(spool, port, "WS1=localhost:104", gate) as process:
        sender = subprocess.Popen(
            [
                "/usr/bin/storescu",
                "-v",
                "-aet",
                "WS1",
                "-aec",
                "CBIR",
                "127.0.0.1",
                str(port),
                *map(str, paths),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_until(lambda: len(listed(spool, "*/instances/*.dcm")) > 20)
        process.kill()
        output, _ = sender.communicate(timeout=120)
    acknowledged = output.count("Received Store Response (Success)")
    assert 0 < acknowledged < 400
    whole = list(spool.glob("*/instances/*.dcm"))
    assert len(whole) >= acknowledged


def test_an_answer_waits_for_a_workstation_that_is_down_across_a_restart(tmp_path: Path) -> None:
    spool, gate, port, away = tmp_path / "questions", tmp_path / "gate", free_port(), free_port()
    gate.touch()
    caller = f"WS1=localhost:{away}"
    with service(spool, port, caller, gate):
        assert send(port, write(tmp_path / "q", instance("asked"))).returncode == 0
        wait_until(lambda: len(listed(spool, "*/answer-*.dcm")) == 2)
        wait_until(lambda: not listed(spool, "*/instances"))
    with service(spool, port, caller, gate), Workstation(tmp_path / "ws", port=away) as workstation:
        [answer] = workstation.waits_for(1)
        assert answer.StudyInstanceUID == uid("asked")
        wait_until(lambda: not list(spool.iterdir()))


@pytest.mark.parametrize("times", [3])
def test_a_question_that_kills_the_service_each_time_is_refused_in_the_end(
    tmp_path: Path, times: int
) -> None:
    spool, gate, port = tmp_path / "questions", tmp_path / "gate", free_port()
    with Workstation(tmp_path / "workstation") as workstation:
        caller = f"WS1=localhost:{workstation.port}"
        with service(spool, port, caller, gate):
            assert send(port, write(tmp_path / "q", instance("asked"))).returncode == 0
            wait_until(lambda: '"begun": 1' in records(spool)[0].read_text())
        for begun in range(2, times + 1):
            with service(spool, port, caller, gate):
                wait_until(lambda begun=begun: f'"begun": {begun}' in records(spool)[0].read_text())  # type: ignore[misc]
        with service(spool, port, caller, gate):
            [answer] = workstation.waits_for(1)
            assert any(b"gave_up" in path.read_bytes() for path in workstation.folder.iterdir())
            assert len(workstation.sheets()) == 1
            assert answer.StudyInstanceUID == uid("asked")
