"""How much memory a process and the processes it starts take while something happens, as Linux counts it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_S = 0.01
BECOMES_WITHIN_S = 5.0
"""After which a child that is still like its parent is taken for one that was only forked."""
FORK_SERVER = b"multiprocessing.forkserver"
"""In the command line of Python's fork server, and of what it forked."""


@dataclass
class Memory:
    """Resident memory in bytes; the growth is over what there was at the start.

    `largest_child_bytes` is the peak that the kernel noted of any one new process (VmHWM);
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
        """Of the process and what was started meanwhile."""
        return self.together_peak_bytes - self.own_at_first_bytes


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Watch a process and what it starts meanwhile, those included that come and go.

    A test process has children of other tests, a browser say: what is there already is not counted, nor
    what it starts. Only the fork server, which serves all tests of a process, is looked through. Nor is a
    child counted that is still its parent: between fork and exec it wears all of the parent's memory.
    """
    memory, finished = Memory(), threading.Event()
    there = frozenset(_descendants(pid))
    memory.own_at_first_bytes = _status(pid).get("VmRSS", 0)
    watching = threading.Thread(target=_watch, args=(pid, there, memory, finished), daemon=True)
    watching.start()
    try:
        yield memory
    finally:
        finished.set()
        watching.join()


def _watch(pid: int, there: frozenset[int], memory: Memory, finished: threading.Event) -> None:
    while not finished.wait(SAMPLE_S):
        own = _status(pid).get("VmRSS", 0)
        children = {child: _status(child) for child in _descendants(pid, there)}
        memory.pids.update(children)
        together = own + sum(status.get("VmRSS", 0) for status in children.values())
        peaks = [status.get("VmHWM", 0) for status in children.values()]
        memory.own_peak_bytes = max(memory.own_peak_bytes, own)
        memory.together_peak_bytes = max(memory.together_peak_bytes, together)
        memory.largest_child_bytes = max(memory.largest_child_bytes, *peaks, 0)


def _descendants(pid: int, there: frozenset[int] = frozenset()) -> list[int]:
    """All that descend from a process, but for those that were there and what those started."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        children = _children(parent)
        new = [child for child in children if child not in there and not _is_still(parent, child)]
        found += new
        waiting += new + [child for child in children if child in there and _is_fork_server(child)]
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # the process may end under the look
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _is_still(parent: int, child: int) -> bool:
    """Whether a child has yet to become the program that it was started for; a fork server's never does."""
    is_alike = not _is_fork_server(parent) and _command_line(parent) == _command_line(child)
    return is_alike and _age_s(child) < BECOMES_WITHIN_S


def _age_s(pid: int) -> float:
    """Since it was started; 0 when the process has gone."""
    try:
        after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_the_name[19]) / os.sysconf("SC_CLK_TCK")


def _is_fork_server(pid: int) -> bool:
    return FORK_SERVER in _command_line(pid)


def _command_line(pid: int) -> bytes:
    """Empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _status(pid: int) -> dict[str, int]:
    """VmRSS and VmHWM in bytes; empty when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    values = (line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name.rstrip(":"): int(kib) * 1024 for name, kib, _ in values}
