"""The line-up beside takes over when it holds what the one that is searched holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from indexer.errors import Rejected
from indexer.following.compared import Comparison
from indexer.following.filling import filling
from indexer.ledger import Ledger, RememberedLineUps
from indexer.line_up import LineUps
from indexer.ports import VectorIndex

logger = logging.getLogger(__name__)

PATIENCE: Final = 10
"""After a comparison that found something missing, wait so many times as long as it took."""


class Switching:
    """Watches the line-ups for the one who compares.

    The ledger says cheaply when everything seems to be there; a comparison, which asks the vector index,
    has the last word.
    """

    def __init__(
        self,
        *,
        line_ups: RememberedLineUps,
        ledger: Ledger,
        index: VectorIndex,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch these line-ups, filled from whatever archives the ledger knows."""
        self._line_ups = line_ups
        self._ledger = ledger
        self._index = index
        self._clock = clock
        self._compared: LineUps | None = None
        self._not_before_s = 0.0

    def line_ups(self) -> LineUps:
        """Those of now. Raises LedgerUnavailable."""
        return self._line_ups.read()

    def wants_comparison(self) -> bool:
        """Whether the line-ups are others than those compared for, or the one beside seems filled."""
        line_ups = self.line_ups()
        if line_ups != self._compared:
            return True
        return self._clock() >= self._not_before_s and self.seems_filled(line_ups)

    def seems_filled(self, line_ups: LineUps) -> bool:
        """Whether the one beside wants to take over, and by the ledger it could."""
        if not line_ups.switch_when_filled:
            return False
        filled = filling(self._ledger.holders(), line_ups)
        return filled is not None and filled.is_complete

    def compared(self, comparison: Comparison, line_ups: LineUps, *, seemed_filled: bool) -> bool:
        """Switch if a comparison that began when everything seemed to be there found nothing missing.

        Args:
            comparison: what it came to.
            line_ups: those it was for.
            seemed_filled: what `seems_filled` said before it began.

        Returns:
            Whether the line-up beside has taken over.
        """
        self._compared = line_ups if comparison.complete else None
        if not seemed_filled:
            return False
        if not comparison.complete or comparison.lacking:
            self._not_before_s = self._clock() + PATIENCE * comparison.took_s
            return False
        try:
            now = self._line_ups.change(lambda before: _switched(before, line_ups))
        except Rejected:
            return False
        self._index.activate(now.serving.versions[0])
        logger.info("line_up_switched serving=%s beside=%s", now.serving, now.beside)
        return True


def _switched(before: LineUps, verified: LineUps) -> LineUps:
    """Somebody may have changed the line-ups meanwhile: then nothing is verified."""
    if before != verified:
        raise Rejected("The line-ups were changed meanwhile.")
    return before.switched()
