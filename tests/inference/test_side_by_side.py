"""A worker with several encoders: each series goes to those that take it, and none loses another's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.families import FAMILIES, write_studies
from indexer.domain import EncoderVersion
from indexer.errors import EncoderUnavailable, Rejected
from indexer.following import Reconciler
from indexer.ledger import Ledger, Notice, Priority, SeriesRow, State
from indexer.line_up import Holdings, LineUps
from indexer.ports import FetchedInstance, StoredInstance
from inference.card import CARD_NAME, EncoderError
from inference.decoders import Decoders
from inference.embedders import Inference, LoadedEmbedders
from inference.limits import Limits
from inference.registry import Registry
from inference.worker import Worker, WorkLimits
from tests.fakes.archive import FakeArchive
from tests.fakes.encoders import write_encoder
from tests.fakes.vector_index import FakeVectorIndex

CHEST = tuple(family for family in FAMILIES if family.name == "chest-cr")
SPINE = tuple(family for family in FAMILIES if family.name == "spine-mr")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE_S = 120


@dataclass
class Hall:
    """A worker, its encoders as files, and line-ups that the test changes."""

    ledger: Ledger
    encoders_dir: Path
    decoders: Decoders
    spool: Path
    line_ups: LineUps = field(init=False)
    archive: FakeArchive = field(default_factory=FakeArchive)
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.embedders = LoadedEmbedders(
            Inference(self.decoders, lambda _issuer, _id: None, threads=1),
            lambda: self.line_ups,
            lambda: self.line_ups,
            self.registry.folder_of,
        )

    @property
    def registry(self) -> Registry:
        return Registry(self.encoders_dir)

    def serve(self, *names: str, beside: tuple[str, ...] = ()) -> None:
        registry = self.registry
        self.line_ups = LineUps(registry.line_up(names), registry.line_up(beside) if beside else None)
        for version in self.line_ups.versions:
            self.index.prepare(version)

    def work(self) -> None:
        self.now += timedelta(hours=1)
        ids = [listed.reference.archive_id for listed in self.archive.list_series()]
        self.ledger.notice([Notice(i, "orthanc", Priority.CHANGED) for i in ids], self.now)
        worker = Worker(
            self.ledger, self.archive, self.index, self.embedders, self.spool,
            limits=WorkLimits(lanes=1), clock=lambda: self.now,
        )  # fmt: skip
        stop = threading.Event()
        working = threading.Thread(target=worker.run, args=(stop,), kwargs={"until_idle": True}, daemon=True)
        working.start()
        working.join(DEADLINE_S)
        stop.set()
        assert not working.is_alive()

    def row(self) -> SeriesRow:
        (row,) = self.ledger.rows().rows
        return row

    def made(self) -> set[str]:
        return {label.partition("@")[0] for label in Holdings.of(self.row().encoder).made}

    def holds(self, version: EncoderVersion) -> int:
        return len(list(self.index.archive_ids(version)))


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(Limits(timeout_s=120), 1) as decoders:
        yield decoders


@pytest.fixture
def hall(tmp_path: Path, decoders: Decoders) -> Iterator[Hall]:
    encoders_dir = tmp_path / "models"
    write_encoder(encoders_dir, "any")
    write_encoder(encoders_dir, "fine", side=24)
    write_encoder(encoders_dir, "for-mr", side=20, modalities=("MR",))
    write_encoder(encoders_dir, "for-chest", side=20, modalities=("CR", "DX"))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield Hall(ledger, encoders_dir, decoders, tmp_path / "spool")


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (study,) = write_studies(tmp_path_factory.mktemp("chest"), per_family=1, families=CHEST)
    return study.paths[0]


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (study,) = write_studies(tmp_path_factory.mktemp("spine"), per_family=1, families=SPINE)
    return study.paths[0]


def test_a_series_goes_to_the_first_encoder_that_serves_its_modality(hall: Hall, spine: Path) -> None:
    hall.serve("for-mr", "any")
    hall.archive.store(spine)
    hall.work()
    assert hall.made() == {"for-mr"}
    assert [hall.holds(version) for version in hall.line_ups.versions] == [1, 0]


def test_what_no_encoder_serves_is_skipped_and_told_by_its_modality(hall: Hall, chest: Path) -> None:
    hall.serve("for-mr")
    hall.archive.store(chest)
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, "no_encoder")
    assert "CR" in hall.row().detail
    hall.serve("for-mr", "any")
    hall.work()
    assert hall.row().state is State.INDEXED


def test_both_line_ups_are_filled_and_what_is_there_is_not_made_again(hall: Hall, chest: Path) -> None:
    hall.serve("any")
    archive_id = hall.archive.store(chest)
    hall.work()
    hall.serve("any", beside=("fine",))
    old, new = hall.line_ups.versions
    before = hall.index.embeddings_by_id(old, [archive_id])[archive_id]
    hall.work()
    assert hall.made() == {"any", "fine"}
    assert hall.index.embeddings_by_id(old, [archive_id])[archive_id] is before
    assert hall.holds(new) == 1
    fetched = len(hall.archive.fetched)
    hall.work()
    assert len(hall.archive.fetched) == fetched


def test_a_new_series_is_fetched_once_for_both(hall: Hall, chest: Path) -> None:
    hall.serve("any", beside=("fine",))
    hall.archive.store(chest)
    hall.work()
    assert hall.made() == {"any", "fine"}
    assert len(hall.archive.fetched) == 1


def test_only_the_encoder_whose_vectors_are_of_other_files_embeds_again(hall: Hall, chest: Path) -> None:
    hall.serve("any", beside=("fine",))
    archive_id = hall.archive.store(chest)
    hall.work()
    right, wrong = hall.line_ups.versions
    before = hall.index.embeddings_by_id(right, [archive_id])[archive_id]
    made = hall.index.embeddings_by_id(wrong, [archive_id])[archive_id]
    hall.index.upsert([replace(made, fingerprint="of other files")])
    reconciler = Reconciler(
        archive=hall.archive, ledger=hall.ledger, index=hall.index, line_ups=lambda: hall.line_ups, quiet_s=0
    )
    assert reconciler.compare(hall.now).stale == 1
    hall.work()
    assert hall.index.embeddings_by_id(right, [archive_id])[archive_id] is before
    again = hall.index.embeddings_by_id(wrong, [archive_id])[archive_id]
    assert again.fingerprint == made.fingerprint == before.fingerprint
    assert reconciler.compare(hall.now).found == 0


def test_an_encoder_beside_that_is_broken_holds_up_no_new_series(hall: Hall, chest: Path) -> None:
    hall.serve("any", beside=("fine",))
    (hall.encoders_dir / "fine" / "encoder.onnx").write_bytes(b"damaged")
    hall.archive.store(chest)
    hall.work()
    assert hall.row().state is State.INDEXED
    assert hall.made() == {"any"}


def test_what_only_a_broken_encoder_beside_takes_keeps_no_lane_waiting(hall: Hall, spine: Path) -> None:
    hall.serve("any", beside=("fine",))
    hall.line_ups = LineUps(hall.registry.line_up(("for-chest",)), hall.line_ups.beside)
    (hall.encoders_dir / "fine" / "encoder.onnx").write_bytes(b"damaged")
    hall.archive.store(spine)
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, "encoder_not_loaded")
    assert "fine@" in hall.row().detail
    assert hall.row().encoder == "", "another one, or this one when it is mended, may take it"


def test_who_is_retired_while_a_series_is_looked_at_is_not_said_to_hold_it(hall: Hall, chest: Path) -> None:
    hall.serve("any", beside=("fine",))
    hall.archive = RetiringArchive(hall)
    hall.archive.store(chest)
    hall.work()
    assert hall.row().state is State.INDEXED
    assert hall.made() == {"any"}


class RetiringArchive(FakeArchive):
    """While it is fetched from, somebody retires the line-up beside."""

    def __init__(self, hall: Hall) -> None:
        super().__init__()
        self._hall = hall

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        self._hall.line_ups = self._hall.line_ups.retired()
        return super().fetch(instances, into)


def test_while_one_encoder_is_loaded_another_one_answers(hall: Hall) -> None:
    hall.serve("any", beside=("fine",))
    serving, beside = hall.line_ups.versions
    loading, go_on = threading.Event(), threading.Event()

    def folder_of(version: EncoderVersion) -> Path:
        if version == beside:
            loading.set()
            go_on.wait(2 * DEADLINE_S)
        return hall.registry.folder_of(version)

    embedders = LoadedEmbedders(
        Inference(hall.decoders, lambda _issuer, _id: None, threads=1),
        lambda: hall.line_ups,
        lambda: hall.line_ups,
        folder_of,
    )
    slow = threading.Thread(target=embedders.of, args=(beside,), daemon=True)
    quick = threading.Thread(target=embedders.of, args=(serving,), daemon=True)
    slow.start()
    assert loading.wait(DEADLINE_S)
    quick.start()
    quick.join(DEADLINE_S)
    answered = not quick.is_alive()
    go_on.set()
    slow.join(DEADLINE_S)
    assert answered
    assert embedders.of(beside).version == beside


def test_an_encoder_that_is_searched_and_broken_is_waited_for(hall: Hall, chest: Path) -> None:
    hall.serve("any")
    (hall.encoders_dir / "any" / "encoder.onnx").write_bytes(b"damaged")
    with pytest.raises(EncoderUnavailable):
        hall.embedders.of(hall.line_ups.versions[0])
    with pytest.raises(EncoderError):
        hall.embedders.load()


def test_uploaded_files_go_to_the_encoders_that_are_searched(hall: Hall, chest: Path, spine: Path) -> None:
    hall.serve("for-mr", "any", beside=("fine",))
    found = {e.attributes.modality: e.encoder.name for e in hall.embedders.embed_files([chest, spine])}
    assert found == {"CR": "any", "MR": "for-mr"}
    hall.serve("for-mr")
    groups = hall.embedders.embed_groups([chest, spine])
    assert [group.embedding.attributes.modality for group in groups.series] == ["MR"]
    assert [skipped.reason for skipped in groups.skipped] == ["no_encoder"]
    with pytest.raises(Rejected, match="CR"):
        hall.embedders.embed_files([chest])


def test_an_encoder_is_found_by_its_version_whatever_its_folder_is_called(hall: Hall) -> None:
    version = hall.registry.card("fine").encoder_version
    (hall.encoders_dir / "fine").rename(hall.encoders_dir / "kept-from-before")
    assert hall.registry.folder_of(version).name == "kept-from-before"
    assert hall.registry.labelled(str(version)) is not None
    with pytest.raises(EncoderError, match="put it back"):
        hall.registry.folder_of(EncoderVersion("fine", "0" * 64, 1))
    with pytest.raises(EncoderError, match="There is no encoder fine"):
        hall.registry.card("fine")


def test_a_licence_that_forbids_commercial_use_is_a_switch_of_its_own(hall: Hall) -> None:
    path = write_encoder(hall.encoders_dir, "academic", commercial_use=False) / CARD_NAME
    assert not json.loads(path.read_text())["licence"]["commercial_use"]
    with pytest.raises(EncoderError, match="CBIR_NON_COMMERCIAL_ENCODERS=academic"):
        hall.registry.line_up(["any", "academic"])
    allowed = Registry(hall.encoders_dir, ("academic",))
    version = allowed.card("academic").encoder_version
    assert allowed.folder_of(version).name == "academic"
    with pytest.raises(EncoderError, match="CBIR_NON_COMMERCIAL_ENCODERS"):
        hall.registry.folder_of(version)
