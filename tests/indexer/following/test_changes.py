"""The archive's log is read once, from where it was left, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import pytest

from indexer.errors import ArchiveUnavailable, Unavailable
from indexer.following import ChangeFollower, Events, changes
from indexer.ledger import Gone, Ledger, Notice, State
from indexer.ports import Change, ChangeKind, ChangePage
from tests.indexer.following.house import NOW, QUIET_S, House, later


class Log:
    """A log that a test writes, numbers and all; `newest` survives the deletion of entries."""

    def __init__(self) -> None:
        self.entries: dict[int, Change] = {}
        self.newest = 0
        self.asked: list[int] = []
        self.before_page: Callable[[int], None] = lambda _since: None

    def add(self, *sequences: int, kind: ChangeKind = "stable") -> None:
        for sequence in sequences:
            self.entries[sequence] = Change(sequence, kind, f"series-{sequence}")
            self.newest = max(self.newest, sequence)

    def changes(self, since: int, limit: int) -> ChangePage:
        self.before_page(since)
        self.asked.append(since)
        after = [self.entries[sequence] for sequence in sorted(self.entries) if sequence > since]
        page = after[:limit]
        last = page[-1].sequence if page else self.newest
        return ChangePage(tuple(page), last, done=len(after) <= limit)


def follower(ledger: Ledger, log: Log, overlap: int = 10) -> ChangeFollower:
    return ChangeFollower(log, ledger, archive="orthanc", quiet_s=QUIET_S, overlap=overlap)


@pytest.fixture
def ledger(house: House) -> Ledger:
    return house.ledger


def noticed(ledger: Ledger, sequences: Iterable[int]) -> bool:
    """Whether exactly these were noticed since it was asked last."""
    leases = ledger.lease("test", 1000, 60.0, later(QUIET_S))
    for lease in leases:
        assert ledger.finish(lease, "test", Gone(), NOW)
    return {lease.archive_id for lease in leases} == {f"series-{sequence}" for sequence in sequences}


def test_a_log_that_is_read_for_the_first_time_is_left_to_the_comparison(ledger: Ledger) -> None:
    log = Log()
    log.add(*range(1, 50))
    polled = follower(ledger, log, overlap=0).poll(NOW)
    assert polled.lost_track
    assert polled.noticed == 0
    log.add(50)
    polled = follower(ledger, log, overlap=0).poll(NOW)
    assert (polled.noticed, polled.lost_track) == (1, False)
    assert noticed(ledger, [50])


def test_every_entry_is_noticed_once_although_the_overlap_is_read_again(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    for upto in (3, 8, 30):
        log.add(*(s for s in range(1, upto + 1) if s not in log.entries))
        reader.poll(NOW)
    assert noticed(ledger, range(1, 31))
    assert reader.poll(NOW).noticed == 0
    assert noticed(ledger, [])


def test_an_entry_that_was_committed_late_is_noticed(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(1, 2, 4, 5)
    reader.poll(NOW)
    assert noticed(ledger, [1, 2, 4, 5])
    log.add(3)
    assert reader.poll(NOW).noticed == 1
    assert noticed(ledger, [3])


def test_a_long_log_is_read_page_by_page(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAGE", 7)
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(*range(1, 101))
    assert reader.poll(NOW).noticed == 100
    assert noticed(ledger, range(1, 101))


def test_a_log_that_was_cleared_is_compared_and_then_followed_again(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(*range(1, 101))
    reader.poll(NOW)
    assert noticed(ledger, range(1, 101))
    log.entries.clear()
    log.newest = 0
    log.add(1, 2, 3)
    assert reader.poll(NOW).lost_track
    log.add(4)
    polled = reader.poll(NOW)
    assert not polled.lost_track
    assert "series-4" in {row.archive_id for row in ledger.rows(State.WAITING).rows}


def test_a_log_restored_into_the_overlap_is_noticed(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(*range(1, 101))
    reader.poll(NOW)
    for sequence in range(96, 101):
        del log.entries[sequence]
    log.newest = 95
    assert reader.poll(NOW).lost_track


def test_deleted_entries_at_the_end_are_no_new_log(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(*range(1, 101))
    reader.poll(NOW)
    for sequence in range(96, 101):
        del log.entries[sequence]
    assert not reader.poll(NOW).lost_track
    for sequence in range(1, 96):
        del log.entries[sequence]
    assert not reader.poll(NOW).lost_track
    log.add(101)
    assert reader.poll(NOW).noticed == 1


def test_a_reader_that_starts_again_goes_on_where_the_last_one_stopped(ledger: Ledger) -> None:
    log = Log()
    follower(ledger, log).poll(NOW)
    log.add(1, 2, 3)
    follower(ledger, log).poll(NOW)
    assert noticed(ledger, [1, 2, 3])
    log.add(4)
    polled = follower(ledger, log).poll(NOW)
    assert (polled.noticed, polled.lost_track) == (1, False)


def test_the_cursor_waits_for_the_ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(1)

    def fail(notices: Iterable[Notice], now: datetime) -> int:
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "notice", fail)
        with pytest.raises(Unavailable):
            reader.poll(NOW)
    assert reader.poll(NOW).noticed == 1
    assert noticed(ledger, [1])


def test_an_outage_in_the_middle_loses_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAGE", 5)
    log = Log()
    reader = follower(ledger, log, overlap=2)
    reader.poll(NOW)
    log.add(*range(1, 21))

    def go_down(since: int) -> None:
        if since >= 10:
            raise ArchiveUnavailable("It is down.")

    log.before_page = go_down
    with pytest.raises(ArchiveUnavailable):
        reader.poll(NOW)
    log.before_page = lambda _since: None
    assert reader.poll(NOW).noticed == 10
    assert noticed(ledger, range(1, 21))


def test_a_new_series_is_left_alone_for_the_quiet_time_and_a_stable_one_is_not(ledger: Ledger) -> None:
    log = Log()
    reader = follower(ledger, log)
    reader.poll(NOW)
    log.add(1, kind="new")
    log.add(2, kind="stable")
    reader.poll(NOW)
    assert [lease.archive_id for lease in ledger.lease("test", 9, 60.0, NOW)] == ["series-2"]
    assert [lease.archive_id for lease in ledger.lease("test", 9, 60.0, later(30))] == ["series-1"]


def test_the_fake_orthancs_log_is_followed_through_growth_deletion_and_a_new_database(house: House) -> None:
    reader = ChangeFollower(house.archive, house.ledger, archive="orthanc", quiet_s=QUIET_S)
    assert reader.poll(NOW).lost_track
    first, second = house.put(1), house.put(2)
    reader.poll(NOW)
    assert house.work() == sorted([first, second])
    house.archive.delete_series(second)
    assert not reader.poll(later(1)).lost_track
    house.archive.start_anew()
    assert reader.poll(later(2)).lost_track
    assert house.compare(later(2)).gone == 2


@dataclass(frozen=True)
class PluginEvent:
    """What the plugin sends."""

    sequence: int
    change: ChangeKind
    orthanc_id: str


def test_hints_are_noticed_and_repeated_hints_do_no_harm(house: House) -> None:
    events = Events(house.ledger, archive="orthanc", quiet_s=QUIET_S)
    archive_id = house.put()
    hints = [PluginEvent(1, "new", archive_id), PluginEvent(2, "stable", archive_id)]
    assert events.accept(hints, NOW) == 1
    assert house.work() == [archive_id]
    assert events.accept(hints, later(1)) == 1
    assert house.work(later(1)) == [archive_id]
    assert house.indexed() == house.vectors() == {archive_id}


def test_a_hint_of_a_new_series_waits_until_it_is_quiet(house: House) -> None:
    events = Events(house.ledger, archive="orthanc", quiet_s=QUIET_S)
    archive_id = house.put(stable=False)
    events.accept([PluginEvent(1, "new", archive_id)], NOW)
    assert house.work(later(29)) == []
    assert house.work(later(30)) == [archive_id]


def test_a_hint_of_a_deletion_takes_the_series_out_only_if_it_is_really_gone(house: House) -> None:
    events = Events(house.ledger, archive="orthanc", quiet_s=QUIET_S)
    archive_id = house.put()
    house.compare()
    house.work()
    events.accept([PluginEvent(1, "deleted", archive_id)], later(1))
    house.work(later(1))
    assert house.vectors() == {archive_id}
    house.archive.delete_series(archive_id)
    events.accept([PluginEvent(2, "deleted", archive_id)], later(2))
    house.work(later(2))
    assert house.vectors() == house.indexed() == set()
