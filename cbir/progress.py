"""Progress of indexing: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from indexer.ledger import State

OPEN_STATES = (State.WAITING, State.LEASED)
LINE_EVERY_S = 2.0
LOOK_EVERY_S = 0.2


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many more are done."""
    if not console.is_terminal:
        yield lambda _more: None
        console.print(f"{what}: {total}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(what, total=total)
        yield lambda more: bars.advance(task, more)


def watch_until_done(
    console: Console,
    counts: Callable[[], Mapping[State, int]],
    *,
    settled_s: float,
    limit_s: float,
    stop: threading.Event | None = None,
) -> Mapping[State, int]:
    """Show how series are indexed until none is waiting or leased for `settled_s`.

    Args:
        console: where to show it.
        counts: how many series are in each state now.
        settled_s: how long nothing may be open before it counts as done.
        limit_s: the longest wait.
        stop: when set, ends the wait early.

    Raises:
        TimeoutError: something is still open after `limit_s`.
    """
    columns = (TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("series"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("Indexing", total=None)
        started = settled = said = time.monotonic()
        while True:
            now, count = time.monotonic(), counts()
            total, still_open = sum(count.values()), sum(count.get(state, 0) for state in OPEN_STATES)
            bars.update(task, total=total or None, completed=total - still_open)
            if not console.is_terminal and now - said >= LINE_EVERY_S:
                console.print(f"indexing done={total - still_open} of={total}")
                said = now
            if still_open:
                settled = now
            if now - settled >= settled_s or (stop is not None and stop.is_set()):
                return count
            if now - started > limit_s:
                raise TimeoutError(f"{still_open} of {total} series are still waiting after {limit_s:.0f} s.")
            time.sleep(LOOK_EVERY_S)
