"""What is kept of what an encoder saw, for how long, and for whom it is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexer.domain import EncoderVersion, FeatureMap, Region
from indexer.errors import EncoderUnavailable
from indexer.search.kept_maps import KeptMaps

VERSION = EncoderVersion(name="tiles", sha256="ab" * 32, dimension=4)
CELLS = np.ones((2, 2, 4), dtype=np.float32)


class Looks:
    """Counts how often a frame was looked at."""

    def __init__(self) -> None:
        self.times = 0

    def at(self) -> FeatureMap:
        self.times += 1
        return FeatureMap(VERSION, CELLS, Region(0, 0, 1, 1))


def times(kept: KeptMaps, name: str, look: Callable[[], FeatureMap] | None = None) -> int:
    """How often a frame is looked at when it is asked for."""
    looks = Looks()
    kept.of((name, 100, 1), look or looks.at)
    return looks.times


def test_a_frame_is_looked_at_once_as_long_as_it_is_kept() -> None:
    kept = KeptMaps()
    assert [times(kept, "a"), times(kept, "a"), times(kept, "b")] == [1, 0, 1]
    kept.forget(("a", 100, 1))
    assert [times(kept, "a"), times(kept, "b")] == [1, 0]
    short = KeptMaps(kept_s=-1)
    assert [times(short, "a"), times(short, "a")] == [1, 1]


def test_no_more_is_kept_than_there_is_room_for_and_the_oldest_goes() -> None:
    kept = KeptMaps(kept_bytes=2 * CELLS.nbytes)
    assert [times(kept, name) for name in "abacab"] == [1, 1, 0, 1, 0, 1]
    small = KeptMaps(kept_bytes=CELLS.nbytes - 1)
    assert [times(small, "a"), times(small, "a")] == [1, 1]


def test_who_asks_meanwhile_waits_for_the_same_look() -> None:
    kept, looks, go_on = KeptMaps(), Looks(), threading.Event()

    def slow() -> FeatureMap:
        go_on.wait(60)
        return looks.at()

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(kept.of, ("a", 100, 1), slow) for _ in range(4)]
        go_on.set()
        seen = {id(one.result()) for one in asked}
    assert len(seen) == looks.times == 1


def test_what_could_not_be_seen_is_not_kept() -> None:
    kept = KeptMaps()

    def broken() -> FeatureMap:
        raise EncoderUnavailable("The worker does not answer.")

    for _ in range(2):
        with pytest.raises(EncoderUnavailable):
            kept.of(("a", 100, 1), broken)
    assert times(kept, "a") == 1
