"""Vectors that reach the index late, or from a worker that died, are found to be of other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from qdrant_client import QdrantClient

from demo.families import FAMILIES, write_studies
from indexer.adapters.qdrant import QdrantIndex, collection_of
from indexer.adapters.qdrant.connection import connect
from indexer.domain import SeriesEmbedding
from indexer.following import Comparison, Reconciler
from indexer.ledger import Lease, Ledger, Notice, Outcome, Priority, State
from indexer.line_up import LineUps
from inference.embedders import Alone
from inference.embedding import SeriesEmbedder
from inference.limits import Limits
from inference.series import SeriesIndexing
from tests.engine.process import EngineProcess
from tests.fakes.archive import FakeArchive

MODELS = Path(__file__).parents[2] / "models"
SPINE = tuple(family for family in FAMILIES if family.name == "spine-mr")
LEASE_S = 3.0

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect in the local Qdrant:UserWarning"
)


class Underway(QdrantIndex):
    """The index behind a slow line: what is stored has been sent, and has not arrived."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self.sent: list[SeriesEmbedding] = []

    def upsert(self, embeddings: Sequence[SeriesEmbedding]) -> None:
        self.sent += embeddings


@dataclass
class House:
    """Workers whose every step the test takes; only the archive is in memory."""

    ledger: Ledger
    client: QdrantClient
    embedder: SeriesEmbedder
    spool: Path
    archive: FakeArchive = field(default_factory=FakeArchive)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.index = QdrantIndex.over(self.client)
        self.index.prepare(self.embedder.version)

    def store(self, paths: Sequence[Path]) -> str:
        (archive_id,) = {self.archive.store(path) for path in paths}
        self.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], self.now)
        return archive_id

    def lease(self, owner: str) -> Lease:
        (lease,) = self.ledger.lease(owner, 1, LEASE_S, self.now)
        return lease

    def let_the_lease_run_out(self) -> None:
        self.now += timedelta(seconds=LEASE_S)

    def look(self, lease: Lease, index: QdrantIndex | None = None) -> Outcome:
        return SeriesIndexing(
            archive=self.archive,
            index=index or self.index,
            embedders=Alone(self.embedder),
            spool=self.spool,
            max_frames=32,
            max_instance_bytes=2**30,
            patient_key_name="",
        ).outcome(lease)

    def work(self) -> None:
        lease = self.lease("quick")
        assert self.ledger.finish(lease, "quick", self.look(lease), self.now)
        assert self.ledger.counts()[State.INDEXED] == 1

    def compare(self) -> Comparison:
        reconciler = Reconciler(
            archive=self.archive,
            ledger=self.ledger,
            index=self.index,
            line_ups=lambda: LineUps.alone(self.embedder.version),
            quiet_s=0.0,
        )
        return reconciler.compare(self.now)

    def indexed_instances(self) -> set[str]:
        """Those whose frames can be found."""
        version = self.embedder.version
        (held,) = self.index.embeddings_by_id(version, list(self.index.archive_ids(version))).values()
        return {frame.sop_instance_uid for frame in held.frames}


@pytest.fixture(scope="module")
def embedder() -> Iterator[SeriesEmbedder]:
    with SeriesEmbedder.open(
        MODELS / "grey32", pseudonym=lambda _issuer, _id: None, limits=Limits(timeout_s=120), decoders=1
    ) as embedder:
        yield embedder


@pytest.fixture(params=["memory", "engine"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QdrantClient]:
    with ExitStack() as stack:
        if request.param == "memory":
            client = QdrantClient(":memory:")
        else:
            engine = stack.enter_context(EngineProcess(tmp_path / "engine"))
            client = connect(engine.url, "", 30.0)
        yield stack.enter_context(closing(client))


@pytest.fixture
def house(tmp_path: Path, embedder: SeriesEmbedder, client: QdrantClient) -> Iterator[House]:
    (tmp_path / "spool").mkdir()
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield House(ledger, client, embedder, tmp_path / "spool")


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One series of five instances."""
    (study,) = write_studies(tmp_path_factory.mktemp("spine"), per_family=1, families=SPINE)
    return list(study.paths)


def instances(paths: Sequence[Path]) -> set[str]:
    return {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in paths}


def test_what_a_dead_worker_sent_and_arrives_after_all_is_replaced(house: House, spine: list[Path]) -> None:
    house.store(spine[:2])
    underway = Underway(house.client)
    house.look(house.lease("slow"), underway)
    house.let_the_lease_run_out()
    house.store(spine[2:])
    house.work()
    assert house.indexed_instances() == instances(spine)

    house.index.upsert(underway.sent)
    assert house.indexed_instances() == instances(spine[:2])
    comparison = house.compare()
    assert (comparison.stale, comparison.found) == (1, 1)
    house.work()
    assert house.indexed_instances() == instances(spine)
    assert house.compare().found == 0


def test_vectors_of_instances_that_went_again_while_a_worker_was_dead_do_not_stay(
    house: House, spine: list[Path]
) -> None:
    """The files are those that the ledger knows; the vectors are of more."""
    house.store(spine[:1])
    house.work()
    house.store(spine[1:])
    house.look(house.lease("killed before it could say so"))
    house.let_the_lease_run_out()
    for sop_instance_uid in instances(spine[1:]):
        house.archive.delete_instance(sop_instance_uid)
    assert house.indexed_instances() == instances(spine)
    house.work()
    assert house.indexed_instances() == instances(spine[:1])
    assert house.compare().stale == 0


def test_what_an_earlier_release_stored_is_believed_and_not_embedded_again(
    house: House, spine: list[Path]
) -> None:
    archive_id = house.store(spine)
    house.work()
    (held,) = house.index.embeddings_by_id(house.embedder.version, [archive_id]).values()
    house.client.delete_payload(
        collection_of(house.embedder.version), keys=["fingerprint"], points=[held.reference.point_id]
    )
    fetched = len(house.archive.fetched)
    assert house.compare().found == 0
    house.ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], house.now)
    house.work()
    assert len(house.archive.fetched) == fetched
