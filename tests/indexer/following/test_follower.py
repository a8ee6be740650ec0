"""The thread that follows keeps going, says an outage once, and stops quickly."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from indexer.errors import Unavailable
from indexer.following import ChangeFollower, Follower, Switching
from indexer.following.rounds import Round
from indexer.ledger import RememberedLineUps, State
from indexer.line_up import LineUps
from indexer.ports import ListedSeries
from tests.fakes.archive import FakeArchive
from tests.indexer.following.house import ENCODER, QUIET_S, House

DEADLINE_S = 60.0


def follower(house: House, *, poll_s: float = 0.02, reconcile_s: float = 3600.0) -> Follower:
    changes = ChangeFollower(house.archive, house.ledger, archive="orthanc", quiet_s=QUIET_S)
    return Follower(house.reconciler(), changes, poll_s=poll_s, reconcile_s=reconcile_s)


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def waiting(house: House) -> int:
    return house.ledger.counts()[State.WAITING]


def test_it_compares_at_the_start_and_then_follows_the_log(house: House) -> None:
    house.put(1)
    with follower(house):
        assert eventually(lambda: waiting(house) == 1)
        house.put(2)
        assert eventually(lambda: waiting(house) == 2)


def test_it_compares_again_and_again(house: House) -> None:
    with follower(house, reconcile_s=0.02, poll_s=3600.0):
        archive_id = house.put(1)
        assert eventually(lambda: waiting(house) == 1)
    assert house.ledger.rows().rows[0].archive_id == archive_id


def test_an_archive_without_a_log_is_compared_only(house: House) -> None:
    house.put(1)
    with Follower(house.reconciler(), None, poll_s=0.02, reconcile_s=0.02) as following:
        assert eventually(lambda: waiting(house) == 1)
        assert eventually(lambda: following.last_comparison is not None)


def test_a_log_that_started_anew_brings_a_comparison_forward(house: House) -> None:
    house.put(1)
    with follower(house) as following:
        assert eventually(lambda: following.last_comparison is not None)
        compared = following.last_comparison
        house.archive.start_anew()
        assert eventually(lambda: following.last_comparison is not compared)
        house.put(5)
        assert eventually(lambda: waiting(house) == 2)


def test_it_survives_an_outage_and_goes_on_afterwards(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.archive.unavailable = True
    with caplog.at_level(logging.INFO), follower(house) as following:
        assert eventually(lambda: "comparison_unavailable" in caplog.text)
        house.put(1)
        house.archive.unavailable = False
        assert eventually(lambda: waiting(house) == 1)
        assert eventually(lambda: "comparison_recovered" in caplog.text)
        assert following.last_comparison is not None
    assert caplog.text.count("comparison_unavailable") == 1
    assert caplog.text.count("changes_unavailable") == 1


class SlowArchive(FakeArchive):
    """Lists for ever, a piece at a time."""

    def list_series(self) -> Iterator[ListedSeries]:
        while True:
            yield from super().list_series()
            time.sleep(0.0001)


def test_it_stops_quickly_in_the_middle_of_a_comparison(house: House) -> None:
    house.archive = SlowArchive()
    house.put(1)
    following = follower(house)
    following.start()
    assert eventually(lambda: waiting(house) == 1)
    started = time.monotonic()
    following.stop()
    assert time.monotonic() - started < 20
    assert eventually(lambda: not any(thread.name == "follower" for thread in threading.enumerate()))


class CountingSwitching(Switching):
    """Counts how often it is asked whether to compare."""

    asked = 0

    def wants_comparison(self) -> bool:
        self.asked += 1
        return super().wants_comparison()


class CountingArchive(FakeArchive):
    """Counts how often all of it is listed."""

    listed = 0

    def list_series(self) -> Iterator[ListedSeries]:
        self.listed += 1
        return super().list_series()


def test_while_the_index_is_down_the_archive_is_listed_ever_less_often(house: House) -> None:
    """Line-ups that nothing was compared for yet bring no comparison forward that has just failed."""
    house.archive = archive = CountingArchive()
    house.put(1)
    house.index.unavailable = True
    switching = CountingSwitching(
        line_ups=RememberedLineUps(house.ledger, lambda: LineUps.alone(ENCODER)),
        ledger=house.ledger,
        index=house.index,
    )
    following = Follower(house.reconciler(), None, poll_s=0.02, reconcile_s=3600.0, switching=switching)
    with following:
        assert eventually(lambda: switching.asked >= 15)
        assert archive.listed < 8, "after 0, 1, 3, 7, 15 s and so on, however slow this machine is"
        house.index.unavailable = False
        assert eventually(lambda: following.last_comparison is not None)


def test_a_round_waits_longer_with_every_failure_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    down = True

    def task() -> None:
        if down:
            raise Unavailable("It is down.")

    this, pauses = Round("neighbour", 5.0, task), []
    with caplog.at_level(logging.INFO):
        for _ in range(9):
            this.go(lambda: 0.0)
            pauses.append(this.due_s)
        down = False
        this.go(lambda: 0.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert this.due_s == 5.0
    assert [record.getMessage() for record in caplog.records] == [
        "neighbour_unavailable reason=unavailable detail=It is down.",
        "neighbour_recovered failures=9",
    ]


def test_a_round_survives_what_nobody_expected(caplog: pytest.LogCaptureFixture) -> None:
    def task() -> None:
        raise ZeroDivisionError

    this = Round("neighbour", 5.0, task)
    this.go(lambda: 0.0)
    assert "neighbour_unexpected" in caplog.text
    assert this.due_s == 1.0
