"""Children are kept running, and never outlive the one who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cbir.supervise import Supervisor, end_with_parent

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_child_that_is_killed_is_started_again() -> None:
    with Supervisor(poll_s=0.05) as supervisor:
        child = supervisor.start("sleeper", SLEEPER, {})
        first = pid_of(child.process)
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(child.process) != first)


def test_a_child_that_dies_at_once_is_restarted_ever_later() -> None:
    with Supervisor(poll_s=0.02) as supervisor:
        child = supervisor.start("broken", [sys.executable, "-c", "raise SystemExit(3)"], {})
        until(lambda: child.delay_s >= 2.0)


def test_a_crash_loop_does_not_delay_the_restart_of_another_child() -> None:
    with Supervisor(poll_s=0.02) as supervisor:
        broken = supervisor.start("broken", [sys.executable, "-c", "raise SystemExit(3)"], {})
        until(lambda: broken.delay_s >= 2.0)
        healthy = supervisor.start("sleeper", SLEEPER, {})
        first = pid_of(healthy.process)
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(healthy.process) != first, timeout_s=60)


def test_every_child_is_ended_with_the_supervisor(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        stubborn = supervisor.start("sleeper", SLEEPER, {})
        process = stubborn.process
    assert process is not None
    assert process.poll() is not None


def test_a_child_gets_its_own_environment_beside_ours(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = (
        f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(os.environ['TOLD'] + os.environ['PATH'])"
    )
    with Supervisor() as supervisor:
        supervisor.start("teller", [sys.executable, "-c", script], {"TOLD": "yes "})
        until(lambda: told.exists() and bool(told.read_text()))
    assert told.read_text() == f"yes {os.environ['PATH']}"


def test_a_process_notices_that_its_parent_is_gone() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stop = threading.Event()
    end_with_parent(gone.pid, stop, poll_s=0.02)
    assert stop.wait(60)


def pid_of(process: subprocess.Popen[bytes] | None) -> int:
    assert process is not None
    return process.pid


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
