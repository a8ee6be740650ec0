"""Hostile files among honest series: bounded memory and time, a true reason, and the worker lives."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer.ledger import Ledger, Notice, Priority, SeriesRow, State
from indexer.ports import FetchedInstance, StoredInstance
from inference.embedders import Alone
from inference.embedding import SeriesEmbedder
from inference.limits import Limits
from inference.worker import Worker
from tests.fakes.archive import FakeArchive
from tests.fakes.hostile import HOSTILE, MANY_FRAMES, honest, many_frames, whole
from tests.fakes.vector_index import FakeVectorIndex
from tests.integration.memory import Memory, watched

MODELS = Path(__file__).parents[2] / "models"
LIMITS = Limits(max_instance_bytes=2**26, timeout_s=20.0, memory_bytes=2**29)
DEADLINE_S = 600.0
HONEST = 6
DECODERS = 2


class ArchiveWithAHole(FakeArchive):
    """An archive where reading some instances never ends: their files are pipes that nobody writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.bottomless: set[str] = set()

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        for fetched in super().fetch(instances, into):
            if fetched.instance.sop_instance_uid in self.bottomless:
                fetched.path.unlink()
                os.mkfifo(fetched.path)
            yield fetched


@dataclass
class House:
    """A worker at work with everything around it."""

    ledger: Ledger
    archive: ArchiveWithAHole
    index: FakeVectorIndex
    embedder: SeriesEmbedder
    series: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, content: bytes, number: int) -> None:
        """Archive a file and say that it may be new; its UIDs are those of `honest(number)`."""
        archive_id = self.archive.put(
            study=f"1.2.3.{number}",
            series=f"1.2.3.{number}.1",
            sop=f"1.2.3.{number}.1.1",
            modality="MR",
            content=content,
            number_of_frames=MANY_FRAMES if name == "many-frames" else 1,
        )
        self.series[name] = archive_id
        self.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], datetime.now(UTC))

    def settled(self) -> dict[str, SeriesRow]:
        """Wait until nothing is open; the rows by the names that were given."""
        until = time.monotonic() + DEADLINE_S
        while any(self.ledger.counts()[state] for state in (State.WAITING, State.LEASED)):
            assert time.monotonic() < until, f"still open: {self.ledger.counts()}"
            time.sleep(0.05)
        rows = {row.archive_id: row for row in self.ledger.rows(limit=100).rows}
        return {name: rows[archive_id] for name, archive_id in self.series.items()}


@contextmanager
def working(worker: Worker) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(120)


@dataclass(frozen=True)
class Night:
    """What was left after the hostile files had been worked off."""

    rows: dict[str, SeriesRow]
    memory: Memory
    took_s: float
    alive: bool
    afterwards: SeriesRow
    indexed: frozenset[str]
    spooled: list[Path]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("night")
    contents = {name: build(honest(100 + n)) for n, (name, (build, _)) in enumerate(HOSTILE.items())}
    archive, index = ArchiveWithAHole(), FakeVectorIndex()
    with (
        watched(os.getpid()) as memory,
        Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger,
        SeriesEmbedder.open(
            MODELS / "grey32", pseudonym=lambda _issuer, _id: None, limits=LIMITS, decoders=DECODERS
        ) as embedder,
    ):
        house = House(ledger, archive, index, embedder)
        index.prepare(embedder.version)
        worker = Worker(ledger, archive, index, Alone(embedder), folder / "spool")
        with working(worker) as thread:
            started = time.monotonic()
            archive.bottomless = {"1.2.3.99.1.1"}
            house.take("never-returns", whole(honest(99)), 99)
            house.take("many-frames", many_frames(honest(98)), 98)
            for number, (name, content) in enumerate(contents.items()):
                house.take(name, content, 100 + number)
                if number < HONEST:
                    house.take(f"honest-{number}", whole(honest(number)), number)
            rows = house.settled()
            took_s = time.monotonic() - started
            house.take("afterwards", whole(honest(50)), 50)
            afterwards = house.settled()["afterwards"]
            alive = thread.is_alive()
        named = {archive_id: name for name, archive_id in house.series.items()}
        indexed = frozenset(named[archive_id] for archive_id in index.archive_ids(embedder.version))
        spooled = list((folder / "spool").rglob("*"))
        yield Night(rows, memory, took_s, alive, afterwards, indexed, spooled)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_fails_with_a_true_reason(night: Night, name: str) -> None:
    row = night.rows[name]
    assert row.reason in HOSTILE[name][1]
    assert row.state is (State.SKIPPED if row.reason == "blank_frame" else State.FAILED)
    assert row.detail


def test_a_decoder_that_never_returns_is_a_timeout(night: Night) -> None:
    row = night.rows["never-returns"]
    assert (row.state, row.reason) == (State.FAILED, "decode_timeout")


def test_a_file_that_claims_two_thousand_million_frames_gives_the_one_it_has(night: Night) -> None:
    row = night.rows["many-frames"]
    assert row.state is State.INDEXED
    assert row.detail == "31 frames skipped: truncated_pixel_data"


def test_the_honest_series_beside_them_are_indexed(night: Night) -> None:
    honest_names = {f"honest-{number}" for number in range(HONEST)}
    assert {night.rows[name].state for name in honest_names} == {State.INDEXED}
    assert night.indexed == honest_names | {"many-frames", "afterwards"}


def test_the_worker_lives_and_takes_what_comes_afterwards(night: Night) -> None:
    assert night.alive
    assert night.afterwards.state is State.INDEXED


def test_time_is_bounded(night: Night) -> None:
    at_worst = LIMITS.timeout_s * (len(HOSTILE) + 2)
    assert night.took_s < at_worst


def test_memory_is_bounded(night: Night) -> None:
    """A decoder may take `memory_bytes` over what it has; the worker itself takes next to nothing."""
    memory, program_bytes = night.memory, 100 * 2**20
    decoder_bytes = LIMITS.memory_bytes + program_bytes
    assert memory.own_growth_bytes < program_bytes
    assert program_bytes < memory.largest_child_bytes < decoder_bytes
    fork_server_bytes = program_bytes
    assert memory.together_growth_bytes < DECODERS * decoder_bytes + fork_server_bytes


def test_nothing_stays_in_the_spool(night: Night) -> None:
    assert night.spooled == []
