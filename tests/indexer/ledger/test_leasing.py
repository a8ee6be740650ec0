"""The life of a series in the ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.errors import Rejected
from indexer.ledger import (
    Failed,
    Gone,
    Indexed,
    KnownSeries,
    Lease,
    Ledger,
    Notice,
    Priority,
    Skipped,
    State,
    TryAgain,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENCODER = "grey32@0123456789ab"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def notice(
    archive_id: str = "a",
    priority: Priority = Priority.CHANGED,
    due_in_s: float = 0.0,
    *,
    revision: str | None = None,
    reference: SeriesReference | None = None,
    archive: str = "orthanc",
) -> Notice:
    return Notice(archive_id, archive, priority, due_in_s, revision=revision, reference=reference)


def indexed(
    archive_id: str = "a",
    *,
    study: str = "1.2",
    modality: str = "CT",
    body_part: str = "HEAD",
    day: date | None = date(2020, 2, 3),
    revision: str = "r1",
    encoder: str = ENCODER,
) -> Indexed:
    return Indexed(
        reference=SeriesReference(study, f"{study}.{archive_id}", archive_id),
        attributes=SeriesAttributes(modality, body_part, day, patient="f" * 64),
        revision=revision,
        fingerprint=f"files of {archive_id}",
        encoder=encoder,
    )


def taken(ledger: Ledger, at: datetime = NOW, owner: str = "me") -> Lease:
    (lease,) = ledger.lease(owner, 1, 60.0, at)
    return lease


def state(ledger: Ledger) -> State:
    (row,) = ledger.rows().rows
    return row.state


def settle(ledger: Ledger, outcome: Indexed | Skipped | Failed, at: datetime = NOW) -> None:
    assert ledger.finish(taken(ledger, at), "me", outcome, at)


def test_a_noticed_series_is_leased_indexed_and_found_by_its_uids(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    lease = taken(ledger)
    assert (lease.archive_id, lease.attempts, lease.fingerprint, lease.encoder) == ("a", 1, None, None)
    assert ledger.finish(lease, "me", indexed(), NOW)
    (row,) = ledger.find(study_instance_uid="1.2")
    assert ledger.find(series_instance_uid="1.2.a") == [row]
    assert (row.state, row.modality, row.study_date) == (State.INDEXED, "CT", date(2020, 2, 3))
    assert (row.body_part_examined, row.encoder, row.orthanc_id) == ("HEAD", ENCODER, "a")
    assert ledger.find(study_instance_uid="1.2", series_instance_uid="other") == []
    assert ledger.find() == []


def test_a_series_of_a_folder_has_no_orthanc_id(ledger: Ledger) -> None:
    ledger.notice([notice(archive="folder")], NOW)
    assert ledger.rows().rows[0].orthanc_id is None


def test_nothing_is_due_before_its_time(ledger: Ledger) -> None:
    ledger.notice([notice(due_in_s=30.0)], NOW)
    assert ledger.lease("me", 1, 60.0, later(29.9)) == []
    assert len(ledger.lease("me", 1, 60.0, later(30.0))) == 1


def test_a_later_notice_brings_a_waiting_series_forward_and_never_back(ledger: Ledger) -> None:
    ledger.notice([notice(due_in_s=30.0)], NOW)
    ledger.notice([notice(due_in_s=5.0)], NOW)
    ledger.notice([notice(due_in_s=30.0)], NOW)
    assert ledger.lease("me", 1, 60.0, later(4.9)) == []
    assert len(ledger.lease("me", 1, 60.0, later(5.0))) == 1


def test_the_most_urgent_comes_first_and_then_what_is_due_longest(ledger: Ledger) -> None:
    ledger.notice([notice("backfill", Priority.BACKFILL)], NOW)
    ledger.notice([notice("second", Priority.CHANGED)], later(2))
    ledger.notice([notice("first", Priority.CHANGED)], later(1))
    ledger.notice([notice("asked", Priority.ASKED)], later(3))
    order = [lease.archive_id for lease in ledger.lease("me", 10, 60.0, later(4))]
    assert order == ["asked", "first", "second", "backfill"]


def test_what_a_person_asks_for_overtakes_the_backfill_it_was_part_of(ledger: Ledger) -> None:
    ledger.notice([notice("a", Priority.BACKFILL), notice("b", Priority.BACKFILL)], NOW)
    ledger.notice([notice("b", Priority.ASKED)], NOW)
    ledger.notice([notice("b", Priority.BACKFILL)], NOW)
    assert taken(ledger).archive_id == "b"


def test_many_notices_of_one_series_are_one(ledger: Ledger) -> None:
    given = [notice(due_in_s=9.0, revision="r1"), notice("b"), notice(priority=Priority.ASKED)]
    assert ledger.notice(given, NOW) == 2
    assert sum(ledger.counts().values()) == 2
    assert taken(ledger).archive_id == "a"


def test_a_leased_series_is_nobody_elses_until_the_lease_expires(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    taken(ledger)
    assert ledger.lease("other", 1, 60.0, later(59.9)) == []
    (lease,) = ledger.lease("other", 1, 60.0, later(60.0))
    assert lease.attempts == 2


def test_an_extended_lease_lasts_and_a_lost_one_is_not_extended(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    lease = taken(ledger)
    assert ledger.extend([lease], "me", 60.0, later(50)) == [lease]
    assert ledger.lease("other", 1, 60.0, later(109)) == []
    taken(ledger, later(110), "other")
    assert ledger.extend([lease], "me", 60.0, later(111)) == []


def test_a_lost_lease_finishes_nothing(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    lost = taken(ledger)
    kept = taken(ledger, later(60), "other")
    assert not ledger.finish(lost, "me", Gone(), later(61))
    assert state(ledger) is State.LEASED
    assert ledger.finish(kept, "other", indexed(), later(61))
    assert not ledger.finish(kept, "other", Gone(), later(62))


def test_an_owner_who_leased_again_cannot_finish_with_the_first_lease(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    first = taken(ledger)
    second = taken(ledger, later(60))
    assert not ledger.finish(first, "me", Failed("late", "Too late."), later(61))
    assert ledger.finish(second, "me", indexed(), later(61))


def test_a_lease_from_before_the_series_went_and_came_back_finishes_nothing(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    before = taken(ledger)
    assert ledger.finish(before, "me", Gone(), NOW)
    ledger.notice([notice()], NOW)
    after = taken(ledger)
    assert not ledger.finish(before, "me", indexed(), NOW)
    assert ledger.finish(after, "me", indexed(), NOW)


def test_an_expired_lease_that_nobody_took_still_finishes(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    lease = taken(ledger)
    assert ledger.finish(lease, "me", indexed(), later(600))
    assert state(ledger) is State.INDEXED


@pytest.mark.parametrize(
    "outcome",
    [
        indexed(),
        Skipped(None, None, "r1", "files", "unsupported", "No frames."),
        Gone(),
        Failed("bad", "Bad."),
        TryAgain("busy", "Busy.", 1),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_series_noticed_while_it_is_leased_waits_again_whatever_the_outcome(
    ledger: Ledger, outcome: Indexed | Skipped | Gone | Failed | TryAgain
) -> None:
    ledger.notice([notice()], NOW)
    lease = taken(ledger)
    ledger.notice([notice(due_in_s=30.0)], later(1))
    assert state(ledger) is State.LEASED
    assert ledger.finish(lease, "me", outcome, later(2))
    assert state(ledger) is State.WAITING
    assert ledger.lease("me", 1, 60.0, later(30.9)) == []
    again = taken(ledger, later(31))
    assert again.generation > lease.generation
    assert again.attempts == 1
    assert ledger.reasons() == {}


def test_the_next_lease_tells_what_was_indexed_last(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    settle(ledger, indexed())
    ledger.notice([notice()], later(1))
    lease = taken(ledger, later(1))
    assert (lease.fingerprint, lease.encoder) == ("files of a", ENCODER)


def test_a_series_that_is_gone_leaves_no_row(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    assert ledger.finish(taken(ledger), "me", Gone(), NOW)
    assert ledger.rows().rows == ()


def test_a_series_that_is_gone_and_noticed_again_starts_from_nothing(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    settle(ledger, indexed())
    ledger.notice([notice()], later(1))
    lease = taken(ledger, later(1))
    ledger.notice([notice()], later(2))
    assert ledger.finish(lease, "me", Gone(), later(3))
    again = taken(ledger, later(3))
    assert (again.fingerprint, again.encoder) == (None, None)


def test_trying_again_waits_longer_each_time_and_then_fails(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    at = NOW
    for shortest, longest in ((1, 2), (2, 4), (4, 8)):
        assert ledger.finish(taken(ledger, at), "me", TryAgain("busy", "The archive is busy.", 4), at)
        assert ledger.lease("me", 1, 60.0, at + timedelta(seconds=shortest * 0.99)) == []
        at += timedelta(seconds=longest)
    assert ledger.reasons() == {"busy": 1}
    assert ledger.finish(taken(ledger, at), "me", TryAgain("busy", "The archive is busy.", 4), at)
    (row,) = ledger.rows(State.FAILED).rows
    assert (row.reason, row.detail, row.attempts) == ("busy", "The archive is busy.", 4)


def test_what_never_gives_up_never_fails_and_never_waits_longer_than_ten_minutes(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    at = NOW
    for _attempt in range(40):
        assert ledger.finish(taken(ledger, at), "me", TryAgain("down", "It is down."), at)
        at += timedelta(seconds=600)
    assert state(ledger) is State.WAITING


def test_a_notice_lets_attempts_count_anew_and_forgives_a_failure(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    settle(ledger, Failed("bad", "Bad."))
    ledger.notice([notice()], later(1))
    assert ledger.reasons() == {}
    assert taken(ledger, later(1)).attempts == 1


def test_failed_series_are_retried_by_reason_or_all(ledger: Ledger) -> None:
    ledger.notice([notice("a"), notice("b"), notice("c")], NOW)
    for reason in ("bad", "slow", "slow"):
        settle(ledger, Failed(reason, "A sentence of ours."))
    assert ledger.retry("nothing", NOW) == 0
    assert ledger.retry("slow", NOW) == 2
    assert ledger.reasons() == {"bad": 1}
    assert ledger.retry(now=NOW) == 1
    assert ledger.counts()[State.WAITING] == 3
    assert {lease.attempts for lease in ledger.lease("me", 3, 60.0, NOW)} == {1}


def test_a_long_detail_is_cut(ledger: Ledger) -> None:
    ledger.notice([notice()], NOW)
    settle(ledger, Failed("bad", "x" * 10_000))
    assert len(ledger.rows().rows[0].detail) == 500


def test_counts_name_every_state_and_reasons_only_what_happened(ledger: Ledger) -> None:
    assert ledger.counts() == dict.fromkeys(State, 0)
    ledger.notice([notice("a"), notice("b"), notice("c")], NOW)
    settle(ledger, indexed())
    settle(ledger, Skipped(None, None, "r", "f", "unsupported", "No frames."))
    assert ledger.counts() == {
        State.WAITING: 1,
        State.LEASED: 0,
        State.INDEXED: 1,
        State.SKIPPED: 1,
        State.FAILED: 0,
    }
    assert ledger.reasons() == {"unsupported": 1}


def test_the_lag_grows_from_when_a_series_was_due_until_it_is_settled(ledger: Ledger) -> None:
    assert ledger.lag_s(NOW) == 0.0
    ledger.notice([notice(due_in_s=30.0)], NOW)
    assert ledger.lag_s(later(20)) == 0.0
    assert ledger.lag_s(later(40)) == 10.0
    assert ledger.finish(taken(ledger, later(40)), "me", TryAgain("down", "It is down."), later(41))
    assert ledger.lag_s(later(42)) == 12.0
    lease = taken(ledger, later(60))
    assert ledger.lag_s(later(62)) == 32.0
    assert ledger.finish(lease, "me", indexed(), later(63))
    assert ledger.lag_s(later(64)) == 0.0


def test_what_a_comparison_needs_is_known_of_one_archive(ledger: Ledger) -> None:
    ledger.notice([notice("b", revision="r9"), notice("a"), notice("z", archive="folder")], NOW)
    settle(ledger, indexed())
    settle(ledger, Failed("bad", "Bad."))
    assert list(ledger.known("orthanc")) == [
        KnownSeries("a", "r1", State.INDEXED, ENCODER, "orthanc", "files of a"),
        KnownSeries("b", "r9", State.FAILED, None, "orthanc", None),
    ]
    waiting = KnownSeries("z", None, State.WAITING, None, "folder", None)
    assert ledger.known_among(["z", "nowhere"]) == {"z": waiting}


def test_a_worker_takes_only_what_its_archive_holds(ledger: Ledger) -> None:
    ledger.notice([notice("a"), notice("z", archive="folder")], NOW)
    assert [lease.archive_id for lease in ledger.lease("me", 9, 60.0, NOW, archive="folder")] == ["z"]
    assert ledger.lease("me", 9, 60.0, NOW, archive="nowhere") == []
    assert [lease.archive_id for lease in ledger.lease("me", 9, 60.0, NOW, archive="orthanc")] == ["a"]
    assert ledger.counts("folder")[State.LEASED] == 1


def test_a_memory_is_kept_and_replaced(ledger: Ledger) -> None:
    assert ledger.recall("cursor") is None
    ledger.remember("cursor", "1")
    ledger.remember("cursor", "2")
    assert ledger.recall("cursor") == "2"


def test_a_time_without_zone_is_refused_and_other_zones_are_understood(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="no time zone"):
        ledger.notice([notice()], datetime(2026, 3, 1))
    east = datetime.fromisoformat("2026-03-01T14:00:00+02:00")
    ledger.notice([notice()], east)
    assert ledger.lease("me", 1, 60.0, later(-1)) == []
    assert len(ledger.lease("me", 1, 60.0, NOW)) == 1


def test_more_notices_than_fit_in_one_statement_are_all_kept(ledger: Ledger) -> None:
    assert ledger.notice((notice(f"series-{number}") for number in range(1234)), NOW) == 1234
    assert ledger.counts()[State.WAITING] == 1234


def test_a_bad_limit_is_refused(ledger: Ledger) -> None:
    for limit in (0, -1, 1001):
        with pytest.raises(Rejected, match="limit"):
            ledger.rows(limit=limit)
        with pytest.raises(Rejected, match="limit"):
            ledger.studies(limit=limit)
