"""The comparison finds whatever the hints and the log have missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from indexer.domain import EncoderVersion, SeriesAttributes, SeriesReference
from indexer.errors import Unavailable
from indexer.following import Reconciler
from indexer.following import comparison as comparison_module
from indexer.following import vectors as vectors_module
from indexer.following.id_set import IdSet
from indexer.ledger import Gone, Notice, Priority, State
from indexer.line_up import LineUps
from indexer.ports import ListedSeries
from tests.fakes.archive import FakeArchive
from tests.indexer.following.house import ENCODER, NOW, OTHER_ENCODER, QUIET_S, House, embedding, later


def test_everything_in_the_archive_is_indexed_and_a_second_comparison_finds_nothing(house: House) -> None:
    ids = {house.put(number) for number in range(3)}
    first = house.compare()
    assert (first.listed, first.unknown, first.found) == (3, 3, 3)
    house.work()
    assert house.indexed() == house.vectors() == ids
    assert house.compare().found == 0


def test_an_unknown_series_is_known_by_its_uids_at_once(house: House) -> None:
    archive_id = house.put(7)
    house.compare()
    (row,) = house.ledger.find(study_instance_uid="1.7")
    assert (row.archive_id, row.series_instance_uid, row.modality) == (archive_id, "1.7.1", "CT")


def test_a_series_that_still_grows_is_left_alone_for_the_quiet_time(house: House) -> None:
    archive_id = house.put(stable=False)
    house.compare()
    assert house.work(later(QUIET_S - 1)) == []
    assert house.work(later(QUIET_S)) == [archive_id]


def test_the_first_comparison_is_a_backfill_and_what_comes_later_overtakes_it(house: House) -> None:
    backfill = [house.put(number) for number in range(3)]
    house.compare()
    newcomer = house.put(9)
    house.compare(later(1))
    assert house.work(later(2)) == [newcomer, *sorted(backfill)]


def test_a_series_that_grew_without_an_event_is_looked_at_again(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.work()
    house.archive.put(study="1.1", series="1.1.1", sop="1.1.1.2")
    house.archive.lose_the_stable_event(archive_id)
    assert house.compare(later(1)).changed == 1
    assert house.work(later(1)) == [archive_id]
    assert house.compare(later(2)).found == 0


def test_a_series_that_is_gone_loses_its_vectors_and_its_row(house: House) -> None:
    archive_id, kept = house.put(1), house.put(2)
    house.compare()
    house.work()
    house.archive.delete_series(archive_id)
    assert house.compare(later(1)).gone == 1
    assert house.work(later(1)) == [archive_id]
    assert house.vectors() == house.indexed() == {kept}
    assert house.compare(later(2)).found == 0


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_series_without_vectors_that_is_gone_loses_its_row(house: House, outcome: str) -> None:
    archive_id = house.put()
    house.compare()
    house.fail() if outcome == "failed" else house.skip(None)
    house.archive.delete_series(archive_id)
    assert house.compare(later(1)).gone == 1
    house.work(later(1))
    assert sum(house.ledger.counts().values()) == 0


class ArrivesWhileListing(FakeArchive):
    """One more series comes, is noticed and indexed after the list was read."""

    house: House

    def list_series(self) -> Iterator[ListedSeries]:
        yield from super().list_series()
        late = self.house.put(99)
        self.house.ledger.notice([Notice(late, self.name, Priority.CHANGED)], NOW)
        self.house.work()


def test_a_series_that_arrives_while_the_archive_is_listed_stays_indexed(house: House) -> None:
    house.archive = archive = ArrivesWhileListing()
    archive.house = house
    listed = house.put(1)
    house.compare()
    house.work()
    assert len(house.indexed()) == 2
    assert house.vectors() == house.indexed() > {listed}


def test_another_encoder_takes_over_as_a_backfill(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.work()
    assert house.compare(later(1), OTHER_ENCODER).outdated == 1
    asked = house.put(2)
    house.ledger.notice([Notice(asked, "orthanc", Priority.ASKED)], later(1))
    assert house.work(later(1), OTHER_ENCODER) == [asked, archive_id]
    assert house.vectors(OTHER_ENCODER) == {archive_id, asked}
    assert house.compare(later(2), OTHER_ENCODER).found == 0


def test_what_one_encoder_skipped_is_shown_to_another_only_if_it_may_judge_otherwise(house: House) -> None:
    house.put()
    house.compare()
    house.skip(None)
    assert house.compare(later(1), OTHER_ENCODER).found == 0
    house.ledger.notice([Notice(house.put(), "orthanc", Priority.CHANGED)], NOW)
    house.skip(ENCODER)
    house.compare()
    house.skip(ENCODER)
    assert house.compare().found == 0
    assert house.compare(later(1), OTHER_ENCODER).outdated == 1


def test_a_failed_series_is_tried_again_when_it_changed_and_not_otherwise(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.fail()
    assert house.compare(later(1)).found == 0
    house.archive.put(study="1.1", series="1.1.1", sop="1.1.1.2")
    house.archive.stabilise(archive_id)
    assert house.compare(later(2)).changed == 1


def test_a_series_that_failed_after_a_hint_is_tried_once_more_and_then_left(house: House) -> None:
    house.ledger.notice([Notice(house.put(), "orthanc", Priority.CHANGED)], NOW)
    house.fail()
    assert house.compare(later(1)).changed == 1
    house.fail(later(1))
    assert house.compare(later(2)).found == 0


def test_vectors_of_a_series_that_nobody_knows_are_deleted(house: House) -> None:
    kept = house.put()
    house.compare()
    house.work()
    house.index.upsert([embedding(SeriesReference("1.9", "1.9.1", "orphan"))])
    assert house.compare(later(1)).orphaned == 1
    assert house.vectors() == {kept}


def test_vectors_outlive_a_lost_ledger(house: House) -> None:
    archive_id = house.put()
    house.index.upsert([embedding(house.archive.series(archive_id).listed.reference)])
    comparison = house.compare()
    assert (comparison.unknown, comparison.orphaned) == (1, 0)
    assert house.vectors() == {archive_id}


def test_no_vector_is_deleted_while_the_archive_does_not_answer(house: House) -> None:
    house.index.upsert([embedding(SeriesReference("1.9", "1.9.1", "orphan"))])
    house.archive.unavailable = True
    with pytest.raises(Unavailable):
        house.reconciler().compare(NOW)
    assert house.vectors() == {"orphan"}


def test_vectors_of_a_leased_series_are_not_orphans(house: House) -> None:
    house.put()
    house.compare()
    (lease,) = house.ledger.lease("worker", 1, 60.0, NOW)
    outcome = house.look(lease)
    assert house.compare(later(1)).found == 0
    assert house.vectors() == {lease.archive_id}
    assert house.ledger.finish(lease, "worker", outcome, later(2))
    assert house.indexed() == {lease.archive_id}


def test_a_row_that_appears_while_its_vectors_are_deleted_is_looked_at_again(house: House) -> None:
    archive_id = house.put()
    house.archive.delete_series(archive_id)
    house.index.upsert([embedding(SeriesReference("1.1", "1.1.1", archive_id))])
    delete = house.index.delete

    def return_meanwhile(*arguments: object) -> None:
        house.put()
        house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
        house.work()
        delete(*arguments)  # type: ignore[arg-type]

    house.index.delete = return_meanwhile  # type: ignore[method-assign, assignment]
    assert house.reconciler().compare(NOW).orphaned == 1
    assert house.vectors() == set()
    house.work(later(1))
    assert house.vectors() == house.indexed() == {archive_id}


def test_an_indexed_series_without_vectors_is_indexed_again(house: House) -> None:
    lost, kept = house.put(1), house.put(2)
    house.compare()
    house.work()
    house.index.delete(ENCODER, [lost])
    assert house.compare(later(1)).bare == 1
    assert house.work(later(1)) == [lost]
    assert house.vectors() == {lost, kept}


def late(house: House, archive_id: str, fingerprint: str = "of other files") -> None:
    """Vectors of other files arrive, from a worker that nobody waits for any more."""
    stored = embedding(house.archive.series(archive_id).listed.reference)
    house.index.upsert([replace(stored, fingerprint=fingerprint)])


def test_a_series_whose_vectors_are_of_other_files_is_looked_at_again(house: House) -> None:
    archive_id, _ = house.put(1), house.put(2)
    house.compare()
    house.work()
    late(house, archive_id)
    comparison = house.compare(later(1))
    assert (comparison.stale, comparison.lacking, comparison.found) == (1, 1, 1)
    assert house.compare(later(1)).found == 0
    assert house.work(later(1)) == [archive_id]
    assert house.compare(later(2)).found == 0


def test_vectors_that_do_not_say_of_which_files_they_are_are_believed(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.work()
    late(house, archive_id, fingerprint="")
    assert house.compare(later(1)).found == 0


def test_a_series_indexed_again_while_the_vectors_are_listed_is_not_stale(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.work()
    listing = house.index.fingerprints

    def grow_afterwards(encoder: EncoderVersion) -> Iterator[tuple[str, str]]:
        listed = list(listing(encoder))
        house.archive.put(study="1.1", series="1.1.1", sop="1.1.1.2")
        house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
        house.work()
        return iter(listed)

    house.index.fingerprints = grow_afterwards  # type: ignore[method-assign]
    assert house.reconciler().compare(NOW).stale == 0


def test_a_failed_series_is_not_tried_again_because_of_its_vectors(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.work()
    house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
    house.fail()
    house.compare()
    house.fail()
    late(house, archive_id)
    assert house.compare(later(1)).found == 0
    assert house.vectors() == {archive_id}


def test_stale_vectors_of_another_archive_are_its_own_followers(house: House) -> None:
    archive_id = house.put()
    house.ledger.notice([Notice(archive_id, "folder", Priority.CHANGED)], NOW)
    house.work()
    late(house, archive_id)
    assert house.reconciler().compare(NOW).stale == 0
    assert house.vectors() == {archive_id}


def test_vectors_that_come_late_to_a_series_that_was_skipped_are_deleted(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.skip(None)
    late(house, archive_id)
    comparison = house.compare(later(1))
    assert (comparison.orphaned, comparison.found) == (1, 1)
    assert house.vectors() == set()
    assert house.work(later(1)) == []


def test_a_row_that_answers_for_its_vectors_while_they_are_deleted_is_looked_at_again(house: House) -> None:
    archive_id = house.put()
    house.compare()
    house.skip(None)
    late(house, archive_id)
    delete = house.index.delete

    def index_meanwhile(*arguments: object) -> None:
        house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
        house.work()
        delete(*arguments)  # type: ignore[arg-type]

    house.index.delete = index_meanwhile  # type: ignore[method-assign, assignment]
    assert house.reconciler().compare(NOW).orphaned == 1
    assert house.vectors() == set()
    house.work(later(1))
    assert house.vectors() == house.indexed() == {archive_id}


class RetiringArchive(FakeArchive):
    """While it is listed, somebody retires the line-up beside and deletes its vectors."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house
        both = LineUps.alone(ENCODER)
        self.line_ups = replace(both, beside=LineUps.alone(OTHER_ENCODER).serving)

    def list_series(self) -> Iterator[ListedSeries]:
        yield from super().list_series()
        self.line_ups = self.line_ups.retired()
        self._house.index.drop(OTHER_ENCODER)


def test_a_place_that_was_deleted_during_a_comparison_is_not_made_again(house: House) -> None:
    archive = RetiringArchive(house)
    reconciler = Reconciler(
        archive=archive, ledger=house.ledger, index=house.index, line_ups=lambda: archive.line_ups,
        quiet_s=QUIET_S,
    )  # fmt: skip
    assert reconciler.compare(NOW).complete
    with pytest.raises(Unavailable):
        house.vectors(OTHER_ENCODER)


def test_a_series_indexed_after_the_vectors_were_listed_is_not_bare(house: House) -> None:
    house.put()
    house.compare()
    listing = house.index.fingerprints

    def index_afterwards(encoder: EncoderVersion) -> Iterator[tuple[str, str]]:
        listed = list(listing(encoder))
        house.work()
        return iter(listed)

    house.index.fingerprints = index_afterwards  # type: ignore[method-assign]
    comparison = house.reconciler().compare(later(1))
    assert len(house.indexed()) == 1
    assert comparison.bare == 0


def test_a_stopped_comparison_says_so_and_deletes_nothing(house: House) -> None:
    house.put()
    house.index.upsert([embedding(SeriesReference("1.9", "1.9.1", "orphan"))])
    stop = threading.Event()
    stop.set()
    assert not house.reconciler().compare(NOW, stop).complete
    assert house.vectors() == {"orphan"}


def test_only_rows_of_the_same_archive_can_be_gone(house: House) -> None:
    house.put()
    house.ledger.notice([Notice("elsewhere", "folder", Priority.CHANGED)], NOW)
    (lease,) = house.ledger.lease("worker", 1, 60.0, NOW)
    indexed = house.look(replace(lease, archive_id=house.put()))
    assert not isinstance(indexed, Gone)
    assert house.ledger.finish(lease, "worker", indexed, NOW)
    assert house.compare(later(1)).gone == 0


def test_archives_larger_than_a_piece_are_compared_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (comparison_module, vectors_module):
        monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(vectors_module, "VERIFIED_AT_ONCE", 2)
    ids = [house.put(number) for number in range(20)]
    house.compare()
    house.work()
    for archive_id in ids[:7]:
        house.archive.delete_series(archive_id)
    house.index.delete(ENCODER, ids[7:12])
    comparison = house.compare(later(1))
    assert (comparison.listed, comparison.gone, comparison.bare) == (13, 7, 5)
    house.work(later(1))
    assert house.vectors() == house.indexed() == set(ids[7:])
    assert house.ledger.counts()[State.INDEXED] == 13


def test_a_set_of_ids_knows_what_it_holds() -> None:
    ids = IdSet()
    assert ids.absent(["a"]) == ["a"]
    ids.update(f"series-{number}" for number in range(1000))
    assert ids.absent(["series-0", "b", "series-999", "a"]) == ["b", "a"]
    ids.update(["a"])
    assert ids.absent(["b", "a"]) == ["b"]
    assert ids.absent([]) == []
    assert len(ids) == 1001


def test_a_patient_that_another_key_hashed_is_looked_at_again_after_everything_new(house: House) -> None:
    reference = house.archive.series(house.put()).listed.reference
    house.put(2)
    house.compare()
    house.work()
    stored = embedding(reference)
    house.index.upsert([replace(stored, attributes=SeriesAttributes("CT", patient="old:hash"))])
    comparison = house.compare()
    assert (comparison.rehashed, comparison.found) == (1, 1)
    (lease,) = house.ledger.lease("worker", 10, 60.0, NOW)
    assert lease.archive_id == reference.archive_id
    assert house.compare().rehashed == 0
