"""Places in a list for callers who may not see all of it: a word that tells nothing stands for each."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import Final

from indexer.errors import Rejected

KEPT: Final = 10_000


class Bookmarks:
    """Keeps the ledger's cursors, which name the study they stand at, on this side. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        """Keep this many; the oldest go."""
        self._kept = kept
        self._places: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, cursor: str) -> str:
        """A random word for this place."""
        word = secrets.token_urlsafe(16)
        with self._lock:
            self._places[word] = cursor
            while len(self._places) > self._kept:
                self._places.popitem(last=False)
        return word

    def find(self, word: str) -> str:
        """The place that a word stands for. Raises Rejected when it is not kept (any more)."""
        with self._lock:
            cursor = self._places.get(word)
        if cursor is None:
            raise Rejected("This place in the list is no longer known: begin from the first page.")
        return cursor
