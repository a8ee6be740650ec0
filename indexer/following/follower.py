"""The thread that follows the archive: its log every few seconds, all of it every few minutes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from indexer.following.changes import ChangeFollower
from indexer.following.compared import Comparison
from indexer.following.comparison import Reconciler
from indexer.following.rounds import Round, Rounds
from indexer.following.switching import Switching

logger = logging.getLogger(__name__)

SWITCHING_S: Final = 5.0


def now_utc() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Follower(Rounds):
    """Polls and compares until it is stopped; a neighbour that is down is waited for."""

    def __init__(
        self,
        reconciler: Reconciler,
        changes: ChangeFollower | None,
        *,
        poll_s: float,
        reconcile_s: float,
        switching: Switching | None = None,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        """Start nothing yet.

        Args:
            reconciler: compares at the start and every `reconcile_s` seconds.
            changes: reads the archive's log every `poll_s` seconds; None for an archive without one.
            poll_s: seconds between two readings.
            reconcile_s: seconds between two comparisons.
            switching: says every `poll_s` seconds, at most SWITCHING_S, whether another line-up wants a
                comparison, and switches after one; None where the line-up never changes.
            clock: the time, aware.
        """
        self.last_comparison: Comparison | None = None
        self._reconciler = reconciler
        self._changes = changes
        self._clock = clock
        self._comparing = Round("comparison", reconcile_s, self._compare)
        # The log first: what happens during the first comparison is then read from it afterwards.
        self._polling = Round("changes", poll_s, self._poll) if changes else None
        self._switching = switching
        often_s = min(poll_s, SWITCHING_S)
        watching = Round("line_ups", often_s, self._watch_line_ups) if switching else None
        rounds = (self._polling, watching, self._comparing)
        super().__init__("follower", threading.Event(), *(one for one in rounds if one is not None))

    def _poll(self) -> None:
        if self._changes is None:
            return
        polled = self._changes.poll(self._clock())
        if polled.noticed:
            logger.info("changes_noticed count=%d", polled.noticed)
        if polled.lost_track:
            self._comparing.bring_forward()

    def _compare(self) -> None:
        started = time.monotonic()
        comparison = compare_and_switch(self._reconciler, self._switching, self._clock(), self._stop)
        self.last_comparison = comparison
        took_ms = (time.monotonic() - started) * 1000
        level = logging.INFO if comparison.found else logging.DEBUG
        logger.log(level, "compared %s took_ms=%.0f", comparison, took_ms)

    def _watch_line_ups(self) -> None:
        if self._switching is not None and self._switching.wants_comparison():
            self._comparing.bring_forward()


def compare_and_switch(
    reconciler: Reconciler, switching: Switching | None, now: datetime, stop: threading.Event
) -> Comparison:
    """Compare, and let the line-up beside take over if nothing is missing of it. Raises Unavailable."""
    if switching is None:
        return reconciler.compare(now, stop)
    line_ups = switching.line_ups()
    seemed_filled = switching.seems_filled(line_ups)
    comparison = reconciler.compare(now, stop)
    switching.compared(comparison, line_ups, seemed_filled=seemed_filled)
    return comparison
