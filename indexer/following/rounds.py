"""Something that is done again and again, and less often while a neighbour is down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from indexer.errors import Unavailable

logger = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
STOP_LIMIT_S: Final = 5.0


class Round:
    """One task and when it is due, in seconds of a clock that the caller reads."""

    def __init__(self, name: str, every_s: float, task: Callable[[], None]) -> None:
        """Do `task` at once and then every `every_s` seconds."""
        self._name = name
        self._every_s = every_s
        self._task = task
        self._failures = 0
        self.due_s = 0.0

    def bring_forward(self) -> None:
        """Let it be due now; after a failure it keeps its pause, or a neighbour that is down gets no rest."""
        if not self._failures:
            self.due_s = 0.0

    def go(self, clock: Callable[[], float]) -> None:
        """Do it, and set when it is due next; an outage is logged once, and so is its end."""
        try:
            self._task()
        except Unavailable as down:
            if not self._failures:
                logger.warning("%s_unavailable reason=%s detail=%s", self._name, down.reason, down)
            self._fail(clock())
        except Exception:
            logger.exception("%s_unexpected", self._name)
            self._fail(clock())
        else:
            if self._failures:
                logger.info("%s_recovered failures=%d", self._name, self._failures)
            self._failures = 0
            self.due_s = clock() + self._every_s

    def _fail(self, now_s: float) -> None:
        self.due_s = now_s + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures, 10))
        self._failures += 1


class Rounds:
    """A thread in which every round is made when it is due, from `start` to `stop`."""

    def __init__(self, name: str, stop: threading.Event, *rounds: Round) -> None:
        """Start nothing yet; `stop` is set when it is to end, for tasks that look at it."""
        self._stop = stop
        self._rounds = rounds
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it and wait for it; a neighbour that does not answer is not waited for."""
        self._stop.set()
        self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            for this in self._rounds:
                if this.due_s <= time.monotonic() and not self._stop.is_set():
                    this.go(time.monotonic)
            self._stop.wait(max(0.0, min(r.due_s for r in self._rounds) - time.monotonic()))
