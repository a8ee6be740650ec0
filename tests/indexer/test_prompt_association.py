"""The checkpoint of a reactor: whoever cleared it is alone until it is set again."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from indexer.prompt_association import Checkpoint


class Reactor:
    """pynetdicom's loop, as far as its checkpoint goes: `passed` counts how often it looked for messages."""

    def __init__(self) -> None:
        self._is_paused = False
        self.checkpoint: threading.Event = Checkpoint(self)
        self.passed = 0
        self._kill = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._kill:
            self._is_paused = True
            self.checkpoint.wait()
            self._is_paused = False
            self.passed += 1

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._kill = True
        self.checkpoint.set()
        self._thread.join()

    def pause(self) -> None:
        """As the methods that send do."""
        self.checkpoint.clear()
        while not self._is_paused:
            time.sleep(0.00001)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    reactor = Reactor()
    yield reactor
    reactor.end()
    sys.setswitchinterval(before)


def disturbed(reactor: Reactor, pauses: int) -> int:
    """How often the reactor went on though it was paused."""
    reactor.start()
    found = 0
    for _ in range(pauses):
        reactor.pause()
        seen = reactor.passed
        time.sleep(0.00002)
        found += reactor.passed != seen
        reactor.checkpoint.set()
    return found


def test_a_reactor_that_is_paused_takes_nothing(reactor: Reactor) -> None:
    assert disturbed(reactor, 3000) == 0


def test_it_goes_on_when_it_is_let_through(reactor: Reactor) -> None:
    disturbed(reactor, 10)
    seen = reactor.passed
    deadline = time.monotonic() + 10
    while reactor.passed == seen and time.monotonic() < deadline:
        time.sleep(0.001)
    assert reactor.passed > seen
