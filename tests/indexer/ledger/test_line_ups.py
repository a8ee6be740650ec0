"""The line-ups are one value for every process, changed in one step and seen within seconds."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from indexer.domain import EncoderVersion, SeriesAttributes, SeriesReference
from indexer.errors import LedgerUnavailable, Rejected
from indexer.ledger import Failed, Indexed, Ledger, Notice, Priority, RememberedLineUps, State
from indexer.ledger.line_ups import KEY, KNOWN_FOR_S
from indexer.line_up import LineUp, LineUps, RoutedEncoder

OLD = EncoderVersion("old", "0" * 64, 2)
NEW = EncoderVersion("new", "1" * 64, 2)
FIRST = LineUps.alone(OLD)
SECOND = LineUp((RoutedEncoder(NEW),))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """Seconds, as the test says."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


class SilentLedger(Ledger):
    """A ledger whose database goes down when the test says so."""

    down = False

    def recall(self, key: str) -> str | None:
        if self.down:
            raise LedgerUnavailable("The database does not answer.")
        return super().recall(key)


class CountingLedger(SilentLedger):
    """Counts how often it is asked, and gives up on who asks for ever."""

    asked = 0

    def recall(self, key: str) -> str | None:
        self.asked += 1
        assert self.asked < 100, "it is asked for ever"
        return super().recall(key)


def activated(line_ups: LineUps) -> LineUps:
    return line_ups.activated(SECOND, switch_when_filled=True)


def test_the_first_who_asks_begins_and_the_others_find_that(ledger: Ledger) -> None:
    assert RememberedLineUps(ledger, lambda: FIRST)() == FIRST
    assert RememberedLineUps(ledger, lambda: LineUps.alone(NEW))() == FIRST


def test_nothing_is_begun_by_who_only_looks(ledger: Ledger) -> None:
    assert RememberedLineUps(ledger, lambda: FIRST).peek() is None


def test_another_process_sees_a_change_within_seconds(ledger: Ledger, database_url: str) -> None:
    clock = Clock()
    here = RememberedLineUps(ledger, lambda: FIRST, clock)
    assert here().beside is None
    with Ledger.open(database_url) as other:
        RememberedLineUps(other, lambda: FIRST).change(activated)
    clock.now_s = KNOWN_FOR_S + 0.1
    assert here().beside == SECOND


def test_an_outage_of_the_ledger_leaves_the_last_line_ups_standing(database_url: str) -> None:
    clock = Clock()
    with SilentLedger.open(database_url) as ledger:
        assert isinstance(ledger, SilentLedger)
        line_ups = RememberedLineUps(ledger, lambda: FIRST, clock)
        line_ups()
        ledger.down, clock.now_s = True, 100.0
        assert line_ups() == FIRST
        with pytest.raises(LedgerUnavailable):
            line_ups.read()


def test_while_the_ledger_is_down_one_question_in_a_while_waits_for_it(database_url: str) -> None:
    clock = Clock()
    with CountingLedger.open(database_url) as ledger:
        assert isinstance(ledger, CountingLedger)
        line_ups = RememberedLineUps(ledger, lambda: FIRST, clock)
        line_ups()
        ledger.down, clock.now_s, ledger.asked = True, 100.0, 0
        assert [line_ups() for _ in range(5)] == [FIRST] * 5
        assert ledger.asked == 1
        clock.now_s += KNOWN_FOR_S + 0.1
        line_ups()
        assert ledger.asked == 2


@pytest.mark.parametrize("other", [{"of_a_later_release": 1}, {"beside_served": None}])
def test_what_another_release_has_written_is_changed_all_the_same(
    database_url: str, other: dict[str, int | None]
) -> None:
    """It may hold a key more than ours, or one less."""
    kept = json.loads(FIRST.to_json()) | other
    written = json.dumps({key: value for key, value in kept.items() if value is not None})
    with CountingLedger.open(database_url) as ledger:
        assert isinstance(ledger, CountingLedger)
        ledger.remember(KEY, written)
        assert RememberedLineUps(ledger, lambda: FIRST).change(activated).beside == SECOND
        assert ledger.asked == 1


def test_a_refused_change_changes_nothing(ledger: Ledger) -> None:
    line_ups = RememberedLineUps(ledger, lambda: FIRST)
    with pytest.raises(Rejected):
        line_ups.change(LineUps.switched)
    assert line_ups.read() == FIRST


def test_of_many_who_change_at_once_none_is_lost(ledger: Ledger, database_url: str) -> None:
    """Each puts one more encoder into the line-up that is searched."""

    def put(number: int) -> None:
        with Ledger.open(database_url) as own:
            more = RoutedEncoder(EncoderVersion(f"n{number}", "5" * 64, 2))
            RememberedLineUps(own, lambda: FIRST).change(
                lambda now: replace(now, serving=LineUp((*now.serving.encoders, more)))
            )

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {version.name for version in RememberedLineUps(ledger, lambda: FIRST).read().serving.versions}
    assert names == {"old", *(f"n{number}" for number in range(6))}


def finish(ledger: Ledger, archive_id: str, encoder: str, modality: str = "CT") -> None:
    reference = SeriesReference("1", f"1.{archive_id}", archive_id)
    ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED, reference=reference)], NOW)
    (lease,) = ledger.lease("worker", 1, 60.0, NOW)
    outcome = Indexed(reference, SeriesAttributes(modality), "r", "f", encoder)
    assert ledger.finish(lease, "worker", outcome, NOW)


def test_series_are_counted_by_who_holds_them(ledger: Ledger) -> None:
    finish(ledger, "a", str(OLD))
    finish(ledger, "b", f"{NEW}+{OLD}")
    finish(ledger, "c", f"{NEW}+{OLD}")
    found = {(group.encoder, group.state): group.number for group in ledger.holders()}
    assert found == {(str(OLD), State.INDEXED): 1, (f"{NEW}+{OLD}", State.INDEXED): 2}
    assert {group.archive for group in ledger.holders()} == {"orthanc"}
    assert ledger.labels() == {str(OLD): 3, str(NEW): 2}


def test_an_encoder_whose_vectors_are_deleted_is_forgotten_everywhere(ledger: Ledger) -> None:
    finish(ledger, "a", str(OLD))
    finish(ledger, "b", f"{NEW}+{OLD}")
    finish(ledger, "c", f"{NEW}+!{OLD}")
    assert ledger.disown(str(OLD)) == 3
    assert {row.archive_id: row.encoder for row in ledger.rows().rows} == {
        "a": "",
        "b": str(NEW),
        "c": str(NEW),
    }


def test_a_study_that_waits_for_another_encoder_is_still_listed(ledger: Ledger) -> None:
    finish(ledger, "a", str(OLD))
    ledger.notice([Notice("a", "orthanc", Priority.BACKFILL)], NOW)
    ledger.notice(
        [Notice("new", "orthanc", Priority.CHANGED, reference=SeriesReference("2", "3", "new"))], NOW
    )
    assert [study.study_instance_uid for study in ledger.studies().rows] == ["1"]
    ledger.lease("worker", 2, 60.0, NOW)
    assert [study.archive_ids for study in ledger.studies().rows] == [("a",)]


def test_a_study_whose_vectors_are_gone_is_not_listed_while_it_is_tried_again(ledger: Ledger) -> None:
    finish(ledger, "a", str(OLD))
    ledger.notice([Notice("a", "orthanc", Priority.CHANGED)], NOW)
    (lease,) = ledger.lease("worker", 1, 60.0, NOW)
    assert ledger.finish(lease, "worker", Failed("bad", "Bad.", forgotten=True), NOW)
    ledger.retry(now=NOW)
    assert ledger.studies().rows == ()
