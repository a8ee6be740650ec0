"""The thread that keeps the backgrounds up to date while the archive grows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final

from indexer.following.calibrating import Calibrator
from indexer.following.follower import STOP_LIMIT_S, now_utc
from indexer.following.rounds import Round

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0


class Calibration:
    """Looks once a minute whether the archive has changed, and measures gently when it has."""

    def __init__(
        self,
        calibrator: Callable[[Callable[[float], object]], Calibrator],
        *,
        every_s: float = LOOK_EVERY_S,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        """Start nothing yet.

        Args:
            calibrator: makes the one who measures; is given how to wait between two samples.
            every_s: seconds between two looks.
            clock: the time, aware.
        """
        self._stop = threading.Event()
        self._calibrator = calibrator(self._stop.wait)
        self._clock = clock
        self._round = Round("calibration", every_s, self._look)
        self._thread = threading.Thread(target=self._run, name="calibration", daemon=True)

    def __enter__(self) -> Calibration:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End it and wait for it; a neighbour that does not answer is not waited for."""
        self._stop.set()
        self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._round.due_s <= time.monotonic():
                self._round.go(time.monotonic)
            self._stop.wait(max(0.0, self._round.due_s - time.monotonic()))

    def _look(self) -> None:
        for encoder in self._calibrator.due():
            self._calibrator.calibrate(encoder, self._clock(), self._stop)
