"""Answers that are too old to be collected are forgotten, whether anybody asks again or not."""

from __future__ import annotations

import logging
import threading
from typing import Final

from indexer.collecting.cases import Cases
from indexer.errors import Unavailable

logger = logging.getLogger(__name__)

EVERY_S: Final = 600.0


class Sweeping:
    """A thread that sweeps now and then; started and stopped once."""

    def __init__(self, cases: Cases, every_s: float = EVERY_S) -> None:
        """Sweep `cases` at the start and every `every_s` seconds."""
        self._cases = cases
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                forgotten = self._cases.sweep()
            except Unavailable as error:
                logger.warning("answers_not_swept reason=%s", error.reason)
            else:
                if forgotten:
                    logger.info("answers_forgotten count=%d", forgotten)
            if self._stopping.wait(self._every_s):
                return
