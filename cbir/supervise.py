"""Child processes that are kept running: started, watched, restarted when they die, ended with us."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

logger = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0
TERM_WAIT_S = 10.0


@dataclass
class Child:
    """One command that is kept running; `delay_s` grows while it keeps dying young."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay_s: float = FIRST_DELAY_S
    restart_at: float | None = None

    def start(self) -> None:
        """Start the command with our environment and its own additions."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            list(self.command), env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL
        )
        logger.info("child_started name=%s pid=%d", self.name, self.process.pid)

    def died(self) -> bool:
        """Whether it was started and is no longer there."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to end; insist after a while."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(TERM_WAIT_S)
        except subprocess.TimeoutExpired:
            logger.warning("child_killed name=%s pid=%d", self.name, self.process.pid)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps children running until it is closed; ends them in the reverse order of their start."""

    def __init__(self, poll_s: float = 0.5) -> None:
        """Look every `poll_s` seconds whether a child died."""
        self._poll_s = poll_s
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Supervisor:
        """Begin to watch."""
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every child."""
        self._stopping.set()
        self._watch.join()
        for child in reversed(self._children):
            child.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a command and keep it running."""
        child = Child(name, command, environment)
        child.start()
        self._children.append(child)
        return child

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_s):
            for child in list(self._children):
                if child.died():
                    _bring_back(child)


def _bring_back(child: Child) -> None:
    """Schedule the restart of a dead child, or restart it when its time has come."""
    now = time.monotonic()
    if child.restart_at is None:
        lived_s = now - child.started_at
        child.delay_s = (
            FIRST_DELAY_S if lived_s > HEALTHY_AFTER_S else min(child.delay_s * 2, LONGEST_DELAY_S)
        )
        child.restart_at = now + child.delay_s
        code = child.process.returncode if child.process else None
        logger.error("child_died name=%s exit=%s restart_in_s=%.1f", child.name, code, child.delay_s)
    elif now >= child.restart_at:
        try:
            child.start()
        except OSError as error:  # no memory or no process to be had: later
            child.restart_at = now + child.delay_s
            logger.error("child_not_started name=%s error=%s", child.name, error)  # noqa: TRY400
        else:
            child.restart_at = None


def end_with_parent(parent_pid: int, stop: threading.Event, poll_s: float = 1.0) -> threading.Thread:
    """Set `stop` when the parent process is gone, so that a killed service leaves no orphans.

    Args:
        parent_pid: the process that started us.
        stop: set once, when our parent is no longer that process.
        poll_s: how often it is looked at.
    """

    def watch() -> None:
        while not stop.wait(poll_s):
            if os.getppid() != parent_pid:
                logger.warning("parent_gone pid=%d", parent_pid)
                stop.set()

    thread = threading.Thread(target=watch, name="end-with-parent", daemon=True)
    thread.start()
    return thread
