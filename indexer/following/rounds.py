"""Something that is done again and again, and less often while a neighbour is down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from indexer.errors import Unavailable

logger = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0


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
