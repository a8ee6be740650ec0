"""A line-up is filled beside the one that is searched, and takes over when nothing is missing."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from indexer.domain import EncoderVersion, SeriesReference
from indexer.errors import NotFound
from indexer.following import Follower, Reconciler, Switching, compare_and_switch, filling
from indexer.ledger import Failed, Gone, Indexed, Lease, Notice, Outcome, Priority, RememberedLineUps, State
from indexer.ledger.values import Holders
from indexer.line_up import Holdings, LineUp, LineUps, RoutedEncoder
from tests.fakes.archive import FakeArchive
from tests.indexer.following.house import ENCODER, NOW, OTHER_ENCODER, QUIET_S, House, embedding

OTHER = LineUp((RoutedEncoder(OTHER_ENCODER),))
DEADLINE_S = 60


class Hall:
    """A house whose worker fills both line-ups."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.line_ups = RememberedLineUps(house.ledger, lambda: LineUps.alone(ENCODER))
        self.reconciler = Reconciler(
            archive=house.archive, ledger=house.ledger, index=house.index, line_ups=self.line_ups,
            quiet_s=QUIET_S,
        )  # fmt: skip
        self.switching = Switching(line_ups=self.line_ups, ledger=house.ledger, index=house.index)

    def compare(self) -> None:
        compare_and_switch(self.reconciler, self.switching, NOW, threading.Event())

    def activate(self, *, switch_when_filled: bool = True) -> None:
        self.line_ups.change(lambda now: now.activated(OTHER, switch_when_filled=switch_when_filled))

    @property
    def serving(self) -> tuple[EncoderVersion, ...]:
        return self.line_ups.read().serving.versions

    def work(self, limit: int = 1000, *, failing: bool = False) -> int:
        leases = self.house.ledger.lease("worker", limit, 60.0, NOW)
        for lease in leases:
            outcome = Failed("bad", "Bad.") if failing else self._look(lease)
            assert self.house.ledger.finish(lease, "worker", outcome, NOW)
        return len(leases)

    def _look(self, lease: Lease) -> Outcome:
        try:
            stored = self.house.archive.series(lease.archive_id)
        except NotFound:
            self.house.index.forget([lease.archive_id])
            return Gone()
        wanted = self.line_ups().wanted(stored.listed.modality)
        reference = stored.listed.reference
        self.house.index.upsert([embedding(reference, version) for version in wanted])
        holdings = Holdings(frozenset(map(str, wanted)))
        attributes = embedding(reference).attributes
        return Indexed(reference, attributes, stored.listed.revision, stored.fingerprint, str(holdings))


@pytest.fixture
def hall(house: House) -> Hall:
    hall = Hall(house)
    for number in range(4):
        house.put(number + 1)
    hall.compare()
    hall.work()
    return hall


def test_another_line_up_is_a_backfill_and_the_old_one_answers_until_all_of_it_is_done(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    waiting = hall.house.ledger.rows(State.WAITING).rows
    assert len(waiting) == 4
    urgent = hall.house.put(9)
    hall.compare()
    (first,) = hall.house.ledger.lease("worker", 1, 60.0, NOW)
    assert first.archive_id == urgent
    assert hall.house.ledger.finish(first, "worker", hall._look(first), NOW)
    hall.work(limit=3)
    hall.compare()
    assert hall.serving == (ENCODER,)
    hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)
    assert hall.house.index.active == OTHER_ENCODER
    assert hall.house.vectors(ENCODER) == hall.house.vectors(OTHER_ENCODER) == hall.house.indexed()


def test_after_the_switch_nothing_is_made_again_and_the_old_one_goes_on_being_filled(hall: Hall) -> None:
    hall.activate()
    for _ in range(2):
        hall.compare()
        hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)
    hall.compare()
    assert hall.work() == 0
    newcomer = hall.house.put(9)
    hall.compare()
    hall.work()
    assert newcomer in hall.house.vectors(ENCODER) & hall.house.vectors(OTHER_ENCODER)


def test_a_line_up_that_is_to_wait_for_a_person_waits(hall: Hall) -> None:
    hall.activate(switch_when_filled=False)
    for _ in range(3):
        hall.compare()
        hall.work()
    assert hall.serving == (ENCODER,)


def test_a_failed_series_does_not_hold_up_the_switch(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    hall.work(limit=1, failing=True)
    hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def test_what_the_ledger_believes_and_the_index_does_not_hold_holds_up_the_switch(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    hall.work()
    lost = sorted(hall.house.indexed())[0]
    hall.house.index.delete(OTHER_ENCODER, [lost])
    hall.compare()
    assert hall.serving == (ENCODER,)
    hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)
    assert lost in hall.house.vectors(OTHER_ENCODER)


def test_vectors_of_other_files_hold_up_the_switch(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    hall.work()
    archive_id = sorted(hall.house.indexed())[0]
    reference = hall.house.archive.series(archive_id).listed.reference
    hall.house.index.upsert([replace(embedding(reference, OTHER_ENCODER), fingerprint="of other files")])
    hall.compare()
    assert hall.serving == (ENCODER,)
    hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def test_what_an_encoder_of_both_line_ups_holds_is_not_what_the_new_one_was_to_make(hall: Hall) -> None:
    """The old encoder is in the new line-up too, and holds series there that another one takes."""
    both = LineUp((RoutedEncoder(OTHER_ENCODER, ("CT",)), RoutedEncoder(ENCODER)))
    hall.line_ups.change(lambda now: now.activated(both, switch_when_filled=True))
    hall.compare()
    hall.compare()
    assert hall.serving == (ENCODER,)
    assert hall.house.vectors(OTHER_ENCODER) == set()
    hall.work()
    hall.compare()
    assert hall.serving == both.versions
    assert hall.house.vectors(OTHER_ENCODER) == hall.house.indexed()


def test_an_archive_that_is_not_followed_now_holds_up_the_switch_by_its_series(hall: Hall) -> None:
    """Folders are archives of their own, and what other folders brought is searched too."""
    other = FakeArchive(name="folder-of-before")
    archive_id = other.put(study="7", series="7.1", sop="7.1.1")
    hall.house.index.upsert([embedding(SeriesReference("7", "7.1", archive_id))])
    settle(hall.house, archive_id, other.name, str(ENCODER))
    hall.activate()
    hall.compare()
    hall.work()
    hall.compare()
    assert hall.serving == (ENCODER,)
    filled = filling(hall.house.ledger.holders(), hall.line_ups.read())
    assert filled is not None
    assert (filled.filled, filled.total, filled.lacking) == (4, 5, (other.name,))
    settle(hall.house, archive_id, other.name, f"{ENCODER}+{OTHER_ENCODER}")
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def settle(house: House, archive_id: str, archive: str, holdings: str) -> None:
    """Let a series of another archive be held by these encoders."""
    reference = SeriesReference("7", "7.1", archive_id)
    house.ledger.notice([Notice(archive_id, archive, Priority.CHANGED)], NOW)
    (lease,) = house.ledger.lease("other", 1, 60.0, NOW, archive=archive)
    outcome = Indexed(reference, embedding(reference).attributes, "r", "f", holdings)
    assert house.ledger.finish(lease, "other", outcome, NOW)


def test_for_an_encoder_beside_that_is_not_here_nothing_is_looked_at_again_in_vain(hall: Hall) -> None:
    there: set[EncoderVersion] = set()
    hall.reconciler = Reconciler(
        archive=hall.house.archive, ledger=hall.house.ledger, index=hall.house.index, line_ups=hall.line_ups,
        quiet_s=QUIET_S, is_at_hand=there.__contains__,
    )  # fmt: skip
    hall.activate()
    for _ in range(2):
        hall.compare()
        assert hall.work() == 0
    assert hall.serving == (ENCODER,)
    there.add(OTHER_ENCODER)
    hall.compare()
    assert hall.work() == 4
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def test_lost_vectors_hold_up_the_switch_while_their_series_wait_to_be_embedded_again(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    hall.work()
    hall.house.index.delete(OTHER_ENCODER, hall.house.indexed())
    for _ in range(3):
        hall.compare()
    assert hall.serving == (ENCODER,)
    hall.work()
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def test_a_series_that_is_looked_at_again_half_way_does_not_lose_its_place(hall: Hall) -> None:
    """Waiting anew, it still has the vectors of both: the switch needs no moment of rest."""
    hall.activate()
    hall.compare()
    hall.work()
    archive_id = sorted(hall.house.indexed())[0]
    hall.house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
    hall.compare()
    assert hall.serving == (OTHER_ENCODER,)


def test_the_follower_fills_and_switches_by_itself(hall: Hall) -> None:
    follower = Follower(
        hall.reconciler,
        None,
        poll_s=0.02,
        reconcile_s=600.0,
        switching=hall.switching,
        clock=lambda: NOW,
    )
    with follower:
        time.sleep(0.1)
        hall.activate()
        deadline = time.monotonic() + DEADLINE_S
        while hall.serving != (OTHER_ENCODER,) and time.monotonic() < deadline:
            hall.work()
            time.sleep(0.02)
    assert hall.serving == (OTHER_ENCODER,)


def test_who_changes_the_line_ups_meanwhile_is_not_overruled(hall: Hall) -> None:
    hall.activate()
    hall.compare()
    hall.work()
    line_ups = hall.switching.line_ups()
    assert hall.switching.seems_filled(line_ups)
    comparison = hall.reconciler.compare(NOW)
    hall.line_ups.change(LineUps.retired)
    assert not hall.switching.compared(comparison, line_ups, seemed_filled=True)
    assert hall.serving == (ENCODER,)


def test_filling_counts_what_the_new_line_up_serves_and_somebody_has_looked_at() -> None:
    line_ups = LineUps(LineUp((RoutedEncoder(ENCODER),)), LineUp((RoutedEncoder(OTHER_ENCODER, ("CT",)),)))
    holders = [
        Holders("CT", str(ENCODER), State.INDEXED, 5),
        Holders("CT", f"{ENCODER}+{OTHER_ENCODER}", State.WAITING, 3),
        Holders("CT", f"{ENCODER}+!{OTHER_ENCODER}", State.INDEXED, 2),
        Holders("CT", None, State.WAITING, 50),
        Holders("CT", None, State.SKIPPED, 7),
        Holders("CT", str(ENCODER), State.FAILED, 1),
        Holders("MR", str(ENCODER), State.INDEXED, 100),
    ]
    filled = filling(holders, line_ups)
    assert filled is not None
    assert (filled.filled, filled.total) == (13, 18)
    assert filling(holders, LineUps.alone(ENCODER)) is None
