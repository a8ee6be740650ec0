"""Several worker processes share one ledger: each series is in one pair of hands at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.connection import Connection

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.ledger import Indexed, Ledger, Notice, Priority, State

SERIES = 400
WORKERS = 4
SPAWN = multiprocessing.get_context("spawn")


def notices(count: int) -> list[Notice]:
    return [Notice(f"series-{number}", "orthanc", Priority.BACKFILL) for number in range(count)]


def indexed(archive_id: str) -> Indexed:
    reference = SeriesReference("1", f"1.{archive_id}", archive_id)
    return Indexed(reference, SeriesAttributes("CT"), "r", "f", "grey32@0123456789ab")


def work(database_url: str, owner: str) -> list[tuple[str, float, float]]:
    """Lease and finish until nothing is left; when each series was in hand, on the machine's clock."""
    held = []
    with Ledger.open(database_url) as ledger:
        while leases := ledger.lease(owner, 3, 600.0, datetime.now(UTC)):
            since = time.monotonic()
            ledger.extend(leases, owner, 600.0, datetime.now(UTC))
            for lease in leases:
                until = time.monotonic()
                assert ledger.finish(lease, owner, indexed(lease.archive_id), datetime.now(UTC))
                held.append((lease.archive_id, since, until))
    return held


def notice_again_and_again(database_url: str, rounds: int) -> int:
    with Ledger.open(database_url) as ledger:
        return sum(ledger.notice(notices(SERIES), datetime.now(UTC)) for _round in range(rounds))


def test_processes_lease_every_series_once(database_url: str) -> None:
    with Ledger.open(database_url) as ledger:
        ledger.notice(notices(SERIES), datetime.now(UTC))
        with SPAWN.Pool(WORKERS) as pool:
            shares = pool.starmap(work, [(database_url, f"worker-{n}") for n in range(WORKERS)], chunksize=1)
        taken = Counter(archive_id for share in shares for archive_id, _since, _until in share)
        assert taken == Counter({f"series-{number}": 1 for number in range(SERIES)})
        assert ledger.counts()[State.INDEXED] == SERIES


def test_notices_arriving_from_everywhere_disturb_nobody_and_are_all_served(database_url: str) -> None:
    with Ledger.open(database_url) as ledger:
        ledger.notice(notices(SERIES), datetime.now(UTC))
        with SPAWN.Pool(WORKERS) as pool:
            noticing = pool.starmap_async(notice_again_and_again, [(database_url, 3)] * 2, chunksize=1)
            working = pool.starmap_async(work, [(database_url, f"worker-{n}") for n in range(2)], chunksize=1)
            assert noticing.get() == [3 * SERIES] * 2
            shares = [*working.get(), work(database_url, "last")]
        by_series: dict[str, list[tuple[float, float]]] = {}
        for archive_id, since, until in (hold for share in shares for hold in share):
            by_series.setdefault(archive_id, []).append((since, until))
        assert len(by_series) == SERIES
        for holds in by_series.values():
            holds.sort()
            assert all(one[1] <= other[0] for one, other in pairwise(holds))
        assert ledger.counts()[State.INDEXED] == SERIES


def test_threads_share_one_ledger(database_url: str) -> None:
    taken: list[str] = []

    def work_here(owner: str) -> None:
        while leases := ledger.lease(owner, 2, 600.0, datetime.now(UTC)):
            taken.extend(lease.archive_id for lease in leases)
            for lease in leases:
                assert ledger.finish(lease, owner, indexed(lease.archive_id), datetime.now(UTC))

    with Ledger.open(database_url) as ledger:
        ledger.notice(notices(120), datetime.now(UTC))
        threads = [threading.Thread(target=work_here, args=(f"thread-{n}",)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == sorted(f"series-{number}" for number in range(120))
        assert ledger.counts()[State.INDEXED] == 120


def hold_and_hang(database_url: str, ready: Connection) -> None:
    ledger = Ledger.open(database_url)
    leases = ledger.lease("doomed", 5, 600.0, datetime.now(UTC))
    ready.send([lease.archive_id for lease in leases])
    time.sleep(600)


def test_the_series_of_a_killed_worker_are_finished_by_another(database_url: str) -> None:
    with Ledger.open(database_url) as ledger:
        start = datetime.now(UTC)
        ledger.notice(notices(8), start)
        here, there = SPAWN.Pipe()
        doomed = SPAWN.Process(target=hold_and_hang, args=(database_url, there), daemon=True)
        doomed.start()
        held = here.recv()
        os.kill(doomed.pid or 0, signal.SIGKILL)
        doomed.join()
        rest = ledger.lease("other", 100, 600.0, datetime.now(UTC))
        assert {lease.archive_id for lease in rest}.isdisjoint(held)
        expired = datetime.now(UTC) + timedelta(seconds=601)
        inherited = ledger.lease("other", 100, 600.0, expired)
        assert {lease.archive_id for lease in inherited} >= set(held)
        assert {lease.attempts for lease in inherited} == {2}
        for lease in inherited:
            assert ledger.finish(lease, "other", indexed(lease.archive_id), expired)
        assert set(held) <= {row.archive_id for row in ledger.rows(State.INDEXED).rows}
