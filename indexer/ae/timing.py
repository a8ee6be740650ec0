"""How long an answer took, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Split:
    """How long each part of an answer took, in milliseconds."""

    def __init__(self) -> None:
        """Nothing took anything yet."""
        self.took_ms: dict[str, float] = {}

    def part_of(self, whole: str, name: str, took_ms: float) -> None:
        """Tell a first part of a part from its rest."""
        rest = self.took_ms.pop(whole) - took_ms
        self.took_ms |= {name: took_ms, whole: rest}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part; one that comes again adds up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            self.took_ms[name] = self.took_ms.get(name, 0.0) + took_ms
