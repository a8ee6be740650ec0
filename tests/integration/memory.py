"""How much memory a process and its descendants take while something happens, as Linux counts it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_S = 0.01


@dataclass
class Memory:
    """Resident memory in bytes; the growth is over what there was at the start.

    `largest_child_bytes` is the peak that the kernel noted of any one descendant (VmHWM);
    `together_growth_bytes` counts pages that processes share more than once.
    """

    own_at_first_bytes: int = 0
    own_peak_bytes: int = 0
    together_peak_bytes: int = 0
    largest_child_bytes: int = 0
    pids: set[int] = field(default_factory=set)

    @property
    def own_growth_bytes(self) -> int:
        """Of the process itself."""
        return self.own_peak_bytes - self.own_at_first_bytes

    @property
    def together_growth_bytes(self) -> int:
        """Of the process and all descendants."""
        return self.together_peak_bytes - self.own_at_first_bytes


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Watch a process and its descendants, those included that come and go meanwhile."""
    memory, finished = Memory(), threading.Event()
    memory.own_at_first_bytes = _status(pid).get("VmRSS", 0)
    watching = threading.Thread(target=_watch, args=(pid, memory, finished), daemon=True)
    watching.start()
    try:
        yield memory
    finally:
        finished.set()
        watching.join()


def _watch(pid: int, memory: Memory, finished: threading.Event) -> None:
    while not finished.wait(SAMPLE_S):
        own = _status(pid).get("VmRSS", 0)
        children = {child: _status(child) for child in _descendants(pid)}
        memory.pids.update(children)
        together = own + sum(status.get("VmRSS", 0) for status in children.values())
        peaks = [status.get("VmHWM", 0) for status in children.values()]
        memory.own_peak_bytes = max(memory.own_peak_bytes, own)
        memory.together_peak_bytes = max(memory.together_peak_bytes, together)
        memory.largest_child_bytes = max(memory.largest_child_bytes, *peaks, 0)


def _descendants(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(child) for child in path.read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


def _status(pid: int) -> dict[str, int]:
    """VmRSS and VmHWM in bytes; empty when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    values = (line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name.rstrip(":"): int(kib) * 1024 for name, kib, _ in values}
