"""The backgrounds as the ledger remembers them, at hand for every question."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from indexer.domain import EncoderVersion
from indexer.errors import LedgerUnavailable
from indexer.ledger import Background, Ledger

KNOWN_FOR_S: Final = 5.0

Kept = Mapping[tuple[str, str], Background]


class RememberedBackgrounds:
    """Gives the background of a modality and body part, read at most every 5 s; safe between threads.

    A ledger that does not answer leaves the last ones standing: a search needs no more of it.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        """Read nothing yet."""
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[EncoderVersion, tuple[float, Kept]] = {}

    def __call__(self, encoder: EncoderVersion, modality: str, body_part_examined: str) -> Background | None:
        """The narrowest that is known: of both, of the modality, of everything; None where none is."""
        kept = self._kept(encoder)
        for key in ((modality, body_part_examined), (modality, ""), ("", "")):
            if key in kept:
                return kept[key]
        return None

    def _kept(self, encoder: EncoderVersion) -> Kept:
        with self._lock:
            read_at_s, kept = self._known.get(encoder, (float("-inf"), {}))
            if self._clock() - read_at_s < KNOWN_FOR_S:
                return kept
            try:
                found = self._ledger.backgrounds(str(encoder))
            except LedgerUnavailable:
                pass  # who waits for the lock does not wait for the ledger too
            else:
                kept = {(b.modality, b.body_part_examined): b for b in found if b.pairs}
            self._known[encoder] = (self._clock(), kept)
            return kept
