"""Long lists in pieces, between which one may stop."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

CHUNK: Final = 1000

Item = TypeVar("Item")


class Stopped(Exception):
    """The comparison was asked to stop."""


def pieces(items: Iterable[Item], size: int, stopped: threading.Event) -> Iterator[list[Item]]:
    """Up to `size` items at a time. Raises Stopped when it is asked to."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        if stopped.is_set():
            raise Stopped
        yield piece
