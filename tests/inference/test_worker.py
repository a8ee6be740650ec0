"""The worker's walk: lease, fetch, embed, upsert, done, whatever the archive and its neighbours do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from demo.families import FAMILIES, write_studies
from indexer.errors import LedgerUnavailable
from indexer.ledger import Lease, Ledger, Notice, Priority, SeriesRow, State
from inference.embedders import Alone
from inference.embedding import SeriesEmbedder
from inference.limits import Limits
from inference.worker import MAX_ABANDONED, Worker, WorkLimits
from tests.fakes.archive import FakeArchive
from tests.fakes.vector_index import FakeVectorIndex

MODELS = Path(__file__).parents[2] / "models"
CHEST = tuple(family for family in FAMILIES if family.name == "chest-cr")
SPINE = tuple(family for family in FAMILIES if family.name == "spine-mr")
DEADLINE_S = 120


@dataclass
class Clock:
    """The time, as the test says."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class House:
    """A worker with everything around it; only the archive and the vector index are in memory."""

    ledger: Ledger
    embedder: SeriesEmbedder
    spool: Path
    archive: FakeArchive = field(default_factory=FakeArchive)
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    clock: Clock = field(default_factory=Clock)

    def notice(self, *archive_ids: str) -> None:
        self.ledger.notice([Notice(i, "orthanc", Priority.CHANGED) for i in archive_ids], self.clock.now)

    def work(self, **limits: int) -> None:
        """Work until nothing is due."""
        worker = Worker(
            self.ledger,
            self.archive,
            self.index,
            Alone(self.embedder),
            self.spool,
            limits=WorkLimits(**limits),
            clock=self.clock,
        )
        stop = threading.Event()
        working = threading.Thread(target=worker.run, args=(stop,), kwargs={"until_idle": True}, daemon=True)
        working.start()
        working.join(DEADLINE_S)
        stop.set()
        assert not working.is_alive(), "the worker did not come to rest"

    def row(self) -> SeriesRow:
        (row,) = self.ledger.rows().rows
        return row

    def indexed(self) -> set[str]:
        return set(self.index.archive_ids(self.embedder.version))


@pytest.fixture(scope="module")
def embedder() -> Iterator[SeriesEmbedder]:
    limits = Limits(timeout_s=120)
    with SeriesEmbedder.open(
        MODELS / "grey32", pseudonym=lambda _issuer, _id: None, limits=limits, decoders=2
    ) as embedder:
        yield embedder


@pytest.fixture
def house(tmp_path: Path, embedder: SeriesEmbedder) -> Iterator[House]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        house = House(ledger, embedder, tmp_path / "spool")
        house.index.prepare(embedder.version)
        yield house


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five studies of one instance."""
    written = write_studies(tmp_path_factory.mktemp("chests"), per_family=5, families=CHEST)
    return [path for study in written for path in study.paths]


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One series of five instances."""
    (study,) = write_studies(tmp_path_factory.mktemp("spine"), per_family=1, families=SPINE)
    return list(study.paths)


def test_what_is_waiting_is_indexed(house: House, chests: list[Path]) -> None:
    ids = [house.archive.store(path) for path in chests]
    house.notice(*ids)
    house.work()
    assert house.indexed() == set(ids)
    assert house.ledger.counts()[State.INDEXED] == len(ids)
    rows = house.ledger.rows().rows
    assert {row.modality for row in rows} == {"CR"}
    assert {row.body_part_examined for row in rows} == {"CHEST"}


def test_nothing_that_was_fetched_is_left_on_the_disk(house: House, chests: list[Path]) -> None:
    house.notice(house.archive.store(chests[0]))
    house.work()
    assert [path for path in house.spool.rglob("*") if path.is_file()] == []


def test_only_the_sampled_instances_are_fetched(house: House, spine: list[Path]) -> None:
    ids = {house.archive.store(path) for path in spine}
    house.notice(*ids)
    house.work(max_frames=2)
    assert len(house.archive.fetched) == 2


def test_a_series_that_grew_is_embedded_again(house: House, spine: list[Path]) -> None:
    archive_id = house.archive.store(spine[0])
    house.notice(archive_id)
    house.work()
    for path in spine[1:]:
        house.archive.store(path)
    house.notice(archive_id)
    house.work()
    (stored,) = house.index.embeddings_by_id(house.embedder.version, [archive_id]).values()
    assert len(stored.frames) == len(spine)


def test_a_series_that_did_not_change_is_not_fetched_again(house: House, chests: list[Path]) -> None:
    archive_id = house.archive.store(chests[0])
    for _ in range(2):
        house.notice(archive_id)
        house.work()
    assert len(house.archive.fetched) == 1
    assert house.row().state == State.INDEXED


def test_an_unchanged_series_whose_vectors_were_lost_is_embedded_again(
    house: House, chests: list[Path]
) -> None:
    archive_id = house.archive.store(chests[0])
    house.notice(archive_id)
    house.work()
    house.index.delete(house.embedder.version, [archive_id])
    house.notice(archive_id)
    house.work()
    assert house.indexed() == {archive_id}


def test_a_series_that_is_gone_leaves_no_vector_and_no_row(house: House, chests: list[Path]) -> None:
    archive_id = house.archive.store(chests[0])
    house.notice(archive_id)
    house.work()
    house.archive.delete_series(archive_id)
    house.notice(archive_id)
    house.work()
    assert house.indexed() == set()
    assert house.ledger.rows().rows == ()


def test_what_is_no_image_is_skipped_with_its_reason(
    house: House, chests: list[Path], tmp_path: Path
) -> None:
    dataset = dcmread(chests[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    dataset.Modality = "SEG"
    dataset.save_as(tmp_path / "seg.dcm")
    house.notice(house.archive.store(tmp_path / "seg.dcm"))
    house.work()
    assert (house.row().state, house.row().reason) == (State.SKIPPED, "segmentation")


def test_a_broken_series_fails_with_a_reason_and_names_itself(
    house: House, chests: list[Path], tmp_path: Path
) -> None:
    dataset = dcmread(chests[0])
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(tmp_path / "cut.dcm")
    house.notice(house.archive.store(tmp_path / "cut.dcm"))
    house.work()
    row = house.row()
    assert (row.state, row.reason) == (State.FAILED, "truncated_pixel_data")
    assert row.study_instance_uid == dataset.StudyInstanceUID


def test_a_series_that_was_indexed_and_is_broken_now_is_no_longer_found(
    house: House, chests: list[Path], tmp_path: Path
) -> None:
    archive_id = house.archive.store(chests[0])
    house.notice(archive_id)
    house.work()
    dataset = dcmread(chests[0])
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(tmp_path / "cut.dcm")
    house.archive.store(tmp_path / "cut.dcm")
    house.notice(archive_id)
    house.work()
    assert house.indexed() == set()


def test_one_bad_instance_does_not_lose_its_series(house: House, spine: list[Path], tmp_path: Path) -> None:
    for path in spine[1:]:
        house.archive.store(path)
    dataset = dcmread(spine[0])
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(tmp_path / "cut.dcm")
    house.notice(house.archive.store(tmp_path / "cut.dcm"))
    house.work()
    row = house.row()
    assert row.state == State.INDEXED
    assert "truncated_pixel_data" in row.detail


def test_a_giant_among_the_instances_is_left_where_it_is(
    house: House, spine: list[Path], tmp_path: Path
) -> None:
    size = max(path.stat().st_size for path in spine)
    archive_id, *_ = [house.archive.store(path) for path in spine[1:]]
    dataset = dcmread(spine[0])
    dataset.add_new(0x00091001, "OB", b"0" * size)
    dataset.save_as(tmp_path / "giant.dcm")
    house.archive.store(tmp_path / "giant.dcm")
    house.notice(archive_id)
    house.work(max_instance_bytes=size)
    assert len(house.archive.fetched) == len(spine) - 1
    assert house.row().state == State.INDEXED
    house.archive.delete_series(archive_id)
    house.notice(house.archive.store(tmp_path / "giant.dcm"))
    house.work(max_instance_bytes=size)
    assert (house.row().state, house.row().reason) == (State.FAILED, "too_large")


def test_while_a_neighbour_is_down_the_series_waits_and_is_not_given_up(
    house: House, chests: list[Path]
) -> None:
    archive_id = house.archive.store(chests[0])
    house.notice(archive_id)
    house.archive.unavailable = True
    for _ in range(4):
        house.work(max_attempts=2)
        house.clock.now += timedelta(days=1)
    assert (house.row().state, house.row().reason) == (State.WAITING, "archive_unavailable")
    house.archive.unavailable = False
    house.work()
    assert house.indexed() == {archive_id}


def test_a_series_that_kills_its_workers_is_given_up(house: House, chests: list[Path]) -> None:
    house.notice(house.archive.store(chests[0]))
    for _ in range(MAX_ABANDONED):
        house.ledger.lease("a worker that dies", 1, 1.0, house.clock.now)
        house.clock.now += timedelta(seconds=2)
    house.work()
    house.clock.now += timedelta(days=1)
    house.work()
    assert (house.row().state, house.row().reason) == (State.FAILED, "worker_died")
    house.ledger.retry(now=house.clock.now)
    house.work()
    assert house.row().state == State.INDEXED


def test_a_series_that_failed_is_not_tried_again_by_the_next_comparison(
    house: House, chests: list[Path], tmp_path: Path
) -> None:
    dataset = dcmread(chests[0])
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(tmp_path / "cut.dcm")
    archive_id = house.archive.store(tmp_path / "cut.dcm")
    house.notice(archive_id)
    house.work()
    (known,) = house.ledger.known_among([archive_id]).values()
    assert known.revision == house.archive.series(archive_id).listed.revision


def test_a_notice_during_the_work_brings_the_series_back(house: House, spine: list[Path]) -> None:
    """An instance arrives while the series is being fetched: the next round finds it."""
    archive_id = house.archive.store(spine[0])

    fetch = house.archive.fetch

    def fetch_and_grow(*arguments: object) -> Iterator[object]:
        yield from fetch(*arguments)  # type: ignore[arg-type]
        if len(house.archive.fetched) == 1:
            house.archive.store(spine[1])
            house.notice(archive_id)

    house.archive.fetch = fetch_and_grow  # type: ignore[method-assign, assignment]
    house.notice(archive_id)
    house.work()
    (stored,) = house.index.embeddings_by_id(house.embedder.version, [archive_id]).values()
    assert len(stored.frames) == 2


def test_vectors_that_come_after_their_lease_was_lost_do_not_stay(
    house: House, chests: list[Path], tmp_path: Path
) -> None:
    """A worker that stood still wakes up and stores what it read before the other one looked."""
    archive_id = house.archive.store(chests[0])
    turned = tmp_path / "turned.dcm"
    dataset = dcmread(chests[0])
    dataset.PixelData = dataset.pixel_array[::-1].tobytes()
    dataset.save_as(turned)
    fetch = house.archive.fetch

    def fetch_and_stand_still(*arguments: object) -> Iterator[object]:
        fetched = list(fetch(*arguments))  # type: ignore[arg-type]
        house.archive.fetch = fetch  # type: ignore[method-assign]
        house.archive.store(turned)
        house.clock.now += timedelta(hours=1)
        house.work()
        yield from fetched

    house.archive.fetch = fetch_and_stand_still  # type: ignore[method-assign, assignment]
    house.notice(archive_id)
    house.work(lanes=1)
    assert house.row().state == State.INDEXED
    (stored,) = house.index.embeddings_by_id(house.embedder.version, [archive_id]).values()
    (expected,) = house.embedder.embed_files([turned])
    assert stored.vector == pytest.approx(expected.vector, abs=1e-3)


def test_a_series_of_another_archive_is_left_alone(house: House, chests: list[Path]) -> None:
    """Its own worker looks there; here it would be taken for gone."""
    other = FakeArchive("folder-1")
    archive_id = other.store(chests[0])
    house.ledger.notice([Notice(archive_id, other.name, Priority.CHANGED)], house.clock.now)
    house.work()
    assert house.row().state == State.WAITING


def test_what_is_gone_leaves_the_vectors_of_every_encoder(house: House, chests: list[Path]) -> None:
    archive_id = house.archive.store(chests[0])
    house.notice(archive_id)
    house.work()
    (stored,) = house.index.embeddings_by_id(house.embedder.version, [archive_id]).values()
    earlier = replace(house.embedder.version, sha256="0" * 64)
    house.index.prepare(earlier)
    house.index.upsert([replace(stored, encoder=earlier)])
    house.archive.delete_series(archive_id)
    house.notice(archive_id)
    house.work()
    assert list(house.index.archive_ids(earlier)) == []


class UnreachableLedger(Ledger):
    """A ledger whose database is down for a while."""

    asked = 0

    def lease(self, *_: object, archive: str | None = None) -> list[Lease]:
        self.asked += 1
        raise LedgerUnavailable("The database does not answer.")


def test_an_outage_of_the_ledger_is_one_line_in_the_log(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    with UnreachableLedger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        assert isinstance(ledger, UnreachableLedger)
        worker = Worker(ledger, house.archive, house.index, Alone(house.embedder), house.spool)
        working = threading.Thread(target=worker.run, args=(stop,))
        working.start()
        deadline = time.monotonic() + DEADLINE_S
        while ledger.asked < 2 * WorkLimits().lanes and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        working.join()
        assert ledger.asked >= 2 * WorkLimits().lanes
    assert [r.levelname for r in caplog.records if "ledger_unavailable" in r.getMessage()] == ["WARNING"]
