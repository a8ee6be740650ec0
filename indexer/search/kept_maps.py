"""The feature maps of the last minute: a frame that is asked about often is looked at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from indexer.domain import FeatureMap

KEPT_BYTES: Final = 64 * 2**20
KEPT_S: Final = 60.0

Key = tuple[str, int, int]
"""Of a frame: the archive's name for its instance, the size of that, and the frame's number."""


class KeptMaps:
    """Keeps what an encoder saw; whether the caller may see the frame is asked before."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, kept_s: float = KEPT_S) -> None:
        """Keep so much for so long."""
        self._kept_bytes = kept_bytes
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[FeatureMap, float]] = OrderedDict()
        self._looking: dict[Key, Future[FeatureMap]] = {}
        self._size_bytes = 0

    def of(self, key: Key, look: Callable[[], FeatureMap]) -> FeatureMap:
        """What was seen in a frame within the last minute, or what `look` sees now.

        Who asks for a frame that another caller is having looked at waits for that. Raises what `look`
        raises; that is not kept.
        """
        with self._lock:
            kept = self._fresh(key)
            if kept is not None:
                return kept
            others = self._looking.get(key)
            mine = Future[FeatureMap]()
            if others is None:
                self._looking[key] = mine
        if others is not None:
            return others.result()
        try:
            seen = look()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(seen)
            self._put(key, seen)
            return seen
        finally:
            with self._lock:
                del self._looking[key]

    def forget(self, key: Key) -> None:
        """Let the frame be looked at anew."""
        with self._lock:
            self._drop(key)

    def _fresh(self, key: Key) -> FeatureMap | None:
        seen, seen_at_s = self._kept.get(key, (None, 0.0))
        if seen is None or time.monotonic() - seen_at_s > self._kept_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return seen

    def _put(self, key: Key, seen: FeatureMap) -> None:
        """Keep a map; the ones that were not asked for for longest go."""
        with self._lock:
            self._drop(key)
            self._kept[key] = seen, time.monotonic()
            self._size_bytes += seen.cells.nbytes
            while self._size_bytes > self._kept_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        dropped = self._kept.pop(key, None)
        self._size_bytes -= dropped[0].cells.nbytes if dropped else 0
