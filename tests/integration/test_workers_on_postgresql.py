"""Two workers in processes of their own share one ledger on PostgreSQL; one is killed, the other finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cbir.engine_process import Endpoint, start_engine
from cbir.settings import Settings
from cbir.supervise import Supervisor
from demo.families import FAMILIES, write_studies
from indexer.adapters.qdrant import QdrantIndex
from inference.card import load_card
from tests.fakes.workstation import wait_until
from tests.postgresql import Cluster

MODELS = Path(__file__).parent.parent.parent / "models"
PER_FAMILY = 12
SERIES = PER_FAMILY * sum(len(family.series) for family in FAMILIES)
LEASE_S = 15.0
"""So long that a busy machine extends it in time: who loses a lease takes back what it stored."""
FINISH_LIMIT_S = 240.0

# The database itself writes down who took which series, and when: no worker can forget to tell.
WITNESS = """
CREATE TABLE seen (
    number BIGSERIAL, at TIMESTAMPTZ, archive_id TEXT, owner TEXT, token BIGINT,
    state_before TEXT, state TEXT, lease_before TIMESTAMPTZ, token_before BIGINT
);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen (at, archive_id, owner, token, state_before, state, lease_before, token_before)
    VALUES (clock_timestamp(), NEW.archive_id, NEW.lease_owner, NEW.lease_token,
            OLD.state, NEW.state, OLD.lease_until, OLD.lease_token);
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE ON series FOR EACH ROW EXECUTE FUNCTION see();
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with Supervisor() as supervisor:
        yield start_engine(tmp_path_factory.mktemp("engine"), supervisor)


class Site:
    """A folder of studies, its ledger on PostgreSQL, and the commands that work on them."""

    def __init__(self, folder: Path, database_url: str, engine: Endpoint) -> None:
        self.folder = folder
        self.dsn = database_url
        self.held_when_killed: set[str] = set()
        self._environment = {
            **os.environ,
            "CBIR_FOLDER": str(folder / "studies"),
            "CBIR_ENCODERS_DIR": str(MODELS),
            "CBIR_DATABASE_URL": database_url.replace("postgresql://", "postgresql+psycopg://"),
            "CBIR_QDRANT_URL": engine.url,
            "CBIR_QDRANT_API_KEY": engine.api_key,
            "CBIR_LEASE_S": str(LEASE_S),
            "CBIR_DECODERS": "1",
            "CBIR_PATIENT_KEY": "a key that both workers share, for the test",
        }

    def run(self, *command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "cbir", *command], env=self._with("command"), check=True, timeout=240
        )

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cbir", "worker"],
                env=self._with(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query, values or None).fetchall()

    def indexed(self) -> int:
        return int(self.ask("SELECT count(*) FROM series WHERE state = 'indexed'")[0][0])

    def leased_by(self, worker: subprocess.Popen[bytes]) -> set[str]:
        return {
            archive_id
            for archive_id, owner in self.ask(
                "SELECT archive_id, lease_owner FROM series WHERE state = 'leased'"
            )
            if f"/{worker.pid}/" in owner
        }

    def hold_back(self) -> None:
        """Nothing is due before `let_go`, so that neither worker is done before the other has started."""
        self.ask("UPDATE series SET due_at = due_at + INTERVAL '1 day' RETURNING 1")

    def let_go(self) -> None:
        self.ask("UPDATE series SET due_at = due_at - INTERVAL '1 day' RETURNING 1")

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_connected(self, name: str) -> bool:
        """Whether the database still works for this worker."""
        return bool(self.ask("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", name))

    def _with(self, name: str) -> dict[str, str]:
        """A data directory of its own, as on a machine of its own."""
        return {**self._environment, "CBIR_DATA_DIR": str(self.folder / name), "PGAPPNAME": name}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster, engine: Endpoint) -> Iterator[Site]:
    """After two workers shared the work and one of them was killed in the middle of it."""
    folder = tmp_path_factory.mktemp("site")
    studies = list(write_studies(folder / "studies", per_family=PER_FAMILY))
    assert len(studies) == 60
    site = Site(folder, postgresql.database_url(), engine)
    site.run("reconcile")
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        connection.execute(WITNESS)
    site.hold_back()
    workers = [site.start_worker(name) for name in ("first", "second")]
    try:
        until_started(site, "first", "second")
        site.let_go()
        site.held_when_killed = kill_at_work(site, "first", workers[0])
        until_indexed(site, SERIES)
        yield site
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            worker.wait(120)
    assert workers[1].returncode == 0


def until_started(site: Site, *names: str) -> None:
    wait_until(lambda: all("worker_started" in site.log_of(name) for name in names), FINISH_LIMIT_S)


def kill_at_work(site: Site, name: str, worker: subprocess.Popen[bytes]) -> set[str]:
    """SIGKILL while it holds several leases and something is indexed already; gives what it held.

    What it said last to the database may still be done after its death.
    """
    deadline = time.monotonic() + FINISH_LIMIT_S
    while time.monotonic() < deadline:
        if site.indexed() and len(site.leased_by(worker)) > 1:
            worker.send_signal(signal.SIGSTOP)
            if len(site.leased_by(worker)) > 1:
                assert site.is_connected(name)
                worker.kill()
                worker.wait()
                wait_until(lambda: not site.is_connected(name))
                return site.leased_by(worker)
            worker.send_signal(signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("the worker was never seen at work")


def until_indexed(site: Site, count: int) -> None:
    deadline = time.monotonic() + FINISH_LIMIT_S
    while (indexed := site.indexed()) < count:
        assert time.monotonic() < deadline, (indexed, site.log_of("second")[-3000:])
        time.sleep(0.1)


def test_the_other_worker_finishes_all(site: Site, engine: Endpoint) -> None:
    assert site.ask("SELECT state, count(*) FROM series GROUP BY state") == [("indexed", SERIES)]
    with closing(QdrantIndex(engine.url, api_key=engine.api_key)) as index:
        points = list(index.archive_ids(load_card(MODELS / Settings().encoder).encoder_version))
    assert len(points) == SERIES
    assert set(points) == {archive_id for (archive_id,) in site.ask("SELECT archive_id FROM series")}


def test_both_workers_worked(site: Site) -> None:
    owners = site.ask("SELECT DISTINCT owner FROM seen WHERE state = 'leased'")
    assert len({owner.split("/")[1] for (owner,) in owners}) == 2


def test_no_series_was_worked_on_twice_at_the_same_time(site: Site) -> None:
    """A series changes hands only when the lease before has expired."""
    changed_hands = site.ask(
        "SELECT at, lease_before FROM seen"
        " WHERE state = 'leased' AND state_before = 'leased' AND token IS DISTINCT FROM token_before"
    )
    assert all(at >= lease_before for at, lease_before in changed_hands)


def test_what_the_killed_worker_held_was_taken_over_when_its_leases_had_expired(site: Site) -> None:
    assert site.held_when_killed
    taken_over = site.ask(
        "SELECT archive_id FROM seen"
        " WHERE state = 'leased' AND state_before = 'leased' AND token IS DISTINCT FROM token_before"
    )
    assert site.held_when_killed <= {archive_id for (archive_id,) in taken_over}


def test_every_series_was_finished_once(site: Site) -> None:
    finished = Counter(
        archive_id for (archive_id,) in site.ask("SELECT archive_id FROM seen WHERE state = 'indexed'")
    )
    assert set(finished.values()) == {1}
    assert len(finished) == SERIES
