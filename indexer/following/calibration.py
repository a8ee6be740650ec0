"""The thread that keeps the backgrounds up to date while the archive grows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from indexer.following.calibrating import Calibrator
from indexer.following.follower import now_utc
from indexer.following.rounds import Round, Rounds

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0


class Calibration(Rounds):
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
        super().__init__("calibration", stop := threading.Event(), Round("calibration", every_s, self._look))
        self._calibrator = calibrator(stop.wait)
        self._clock = clock

    def _look(self) -> None:
        for encoder in self._calibrator.due():
            self._calibrator.calibrate(encoder, self._clock(), self._stop)
