"""The line-ups as the ledger remembers them: every process sees a change within seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from indexer.errors import LedgerUnavailable
from indexer.ledger.ledger import Ledger
from indexer.line_up import LineUps

KEY: Final = "line-ups"
KNOWN_FOR_S: Final = 1.5


class RememberedLineUps:
    """Gives the line-ups of now, read at most every 1.5 s; safe to share between threads.

    A ledger that does not answer leaves the last ones standing: a search needs no more of it.
    """

    def __init__(
        self, ledger: Ledger, first: Callable[[], LineUps], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember in this ledger; `first` tells what an installation begins with."""
        self._ledger = ledger
        self._first = first
        self._clock = clock
        self._lock = threading.Lock()
        self._known: LineUps | None = None
        self._known_at_s = 0.0

    def __call__(self) -> LineUps:
        """The line-ups of now, or of a moment ago."""
        with self._lock:
            if self._known is not None and self._clock() - self._known_at_s < KNOWN_FOR_S:
                return self._known
            try:
                return self._keep(self._recalled())
            except LedgerUnavailable:
                if self._known is None:
                    raise
                self._known_at_s = self._clock()  # who waits for the lock does not wait for the ledger too
                return self._known

    def read(self) -> LineUps:
        """The line-ups of now, read now. Raises LedgerUnavailable."""
        with self._lock:
            return self._keep(self._recalled())

    def peek(self) -> LineUps | None:
        """The line-ups of now; None where nothing was begun yet. Raises LedgerUnavailable."""
        kept = self._ledger.recall(KEY)
        return None if kept is None else LineUps.from_json(kept)

    def change(self, how: Callable[[LineUps], LineUps]) -> LineUps:
        """Change them in one step, whoever else does so at the same time; gives what they are now.

        Args:
            how: is given the line-ups of now; it is asked again where somebody else was faster, and what
                it raises changes nothing.

        Raises:
            LedgerUnavailable: nothing is changed.
        """
        with self._lock:
            while True:
                kept = self._recalled_text()
                before = LineUps.from_json(kept)
                after = how(before)
                if after == before or self._ledger.revise(KEY, kept, after.to_json()):
                    return self._keep(after)

    def _keep(self, line_ups: LineUps) -> LineUps:
        self._known, self._known_at_s = line_ups, self._clock()
        return line_ups

    def _recalled(self) -> LineUps:
        return LineUps.from_json(self._recalled_text())

    def _recalled_text(self) -> str:
        while (kept := self._ledger.recall(KEY)) is None:
            self._ledger.revise(KEY, None, self._first().to_json())
        return kept
