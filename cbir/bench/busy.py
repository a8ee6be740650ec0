"""How much of the machine is at work, ours or not: figures of a busy machine are worth less."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IDLE_AND_WAITING = (3, 4)


class BusyCores:
    """Counts from now."""

    def __init__(self) -> None:
        self._ticks = _busy_ticks()
        self._started = time.perf_counter()

    def since(self) -> float | None:
        """Cores that were busy on average since then; None where the kernel does not say (not Linux)."""
        now = _busy_ticks()
        elapsed_s = time.perf_counter() - self._started
        if now is None or self._ticks is None or elapsed_s <= 0:
            return None
        return (now - self._ticks) / os.sysconf("SC_CLK_TCK") / elapsed_s


def _busy_ticks() -> int | None:
    """Clock ticks of all cores in which they did something (proc(5), /proc/stat)."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return None
    ticks = [int(number) for number in first.split()[1:9]]
    return sum(count for place, count in enumerate(ticks) if place not in _IDLE_AND_WAITING)
