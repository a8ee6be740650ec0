"""The engine's thread: its queue, its batches, and what a bad request does to its neighbours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from engine.catalogue import Catalogue
from engine.errors import BadRequest, NotFound, Stopping, TooMany
from engine.protocol import Count, CreateCollection, Retrieve, Upsert
from engine.thread import MAX_WAITING, MAX_WAITING_BYTES, EngineThread

CONFIG = CreateCollection.model_validate_json('{"vectors": {"v": {"size": 2, "distance": "Dot"}}}')


class Gate:
    """A job that keeps the engine's thread busy until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, _: Catalogue) -> None:
        self.reached.set()
        assert self._open.wait(120)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineThread]:
    engine = EngineThread(tmp_path)
    engine.start()
    engine.submit(lambda c: c.create("things", CONFIG)).result()
    yield engine
    engine.stop()


@pytest.fixture
def gate(engine: EngineThread) -> Iterator[Gate]:
    gate = Gate()
    engine.submit(gate)
    assert gate.reached.wait(60)
    yield gate
    gate.open()


def upsert(
    engine: EngineThread, point_id: int, vector: str = "[1, 0]", payload: str = "{}", weight: int = 1
) -> Future[None]:
    body = f'{{"points": [{{"id": {point_id}, "vector": {{"v": {vector}}}, "payload": {payload}}}]}}'
    return engine.upsert("things", Upsert.model_validate_json(body).points, weight)


def test_upserts_that_wait_together_are_all_stored(engine: EngineThread, gate: Gate) -> None:
    waiting = [upsert(engine, n) for n in range(100)]
    assert not any(future.done() for future in waiting)
    gate.open()
    for future in waiting:
        future.result(120)
    assert engine.submit(lambda c: c.shard("things").count(Count())).result(120) == 100


def test_a_bad_upsert_spoils_no_other_in_its_batch(engine: EngineThread, gate: Gate) -> None:
    good = [upsert(engine, 1), upsert(engine, 3)]
    bad = [upsert(engine, 2, "[1, 0, 0]"), upsert(engine, 4, payload='{"x": NaN}')]
    good.append(upsert(engine, 5))
    gate.open()
    for future in bad:
        with pytest.raises(BadRequest):
            future.result(120)
    for future in good:
        future.result(120)
    stored = engine.submit(lambda c: c.shard("things").retrieve(Retrieve(ids=[1, 2, 3, 4, 5]))).result(120)
    assert {point["id"] for point in stored} == {1, 3, 5}


def test_the_order_of_writes_to_one_point_is_kept(engine: EngineThread, gate: Gate) -> None:
    waiting = [upsert(engine, 1, payload=f'{{"n": {n}}}') for n in range(20)]
    gate.open()
    for future in waiting:
        future.result(120)
    (stored,) = engine.submit(lambda c: c.shard("things").retrieve(Retrieve(ids=[1]))).result(120)
    assert stored["payload"] == {"n": 19}


def test_an_upsert_into_no_collection_is_not_found(engine: EngineThread) -> None:
    with pytest.raises(NotFound):
        engine.upsert("nowhere", [], 1).result(120)


def test_a_full_queue_refuses(engine: EngineThread, gate: Gate) -> None:
    for n in range(MAX_WAITING):
        upsert(engine, n)
    with pytest.raises(TooMany):
        upsert(engine, 0)
    gate.open()


def test_a_heavy_queue_refuses_but_one_heavy_request_may_pass(engine: EngineThread, gate: Gate) -> None:
    upsert(engine, 1, weight=MAX_WAITING_BYTES + 1)
    with pytest.raises(TooMany):
        upsert(engine, 2)
    gate.open()


def test_a_job_that_is_cancelled_before_it_starts_is_not_done(engine: EngineThread, gate: Gate) -> None:
    cancelled, kept = upsert(engine, 1), upsert(engine, 2)
    assert cancelled.cancel()
    gate.open()
    kept.result(120)
    stored = engine.submit(lambda c: c.shard("things").retrieve(Retrieve(ids=[1, 2]))).result(120)
    assert [point["id"] for point in stored] == [2]


def test_what_waits_is_done_before_the_thread_stops(tmp_path: Path) -> None:
    engine = EngineThread(tmp_path / "data")
    engine.start()
    engine.submit(lambda c: c.create("things", CONFIG)).result()
    gate = Gate()
    engine.submit(gate)
    waiting = [upsert(engine, n) for n in range(10)]
    threading.Timer(0.2, gate.open).start()
    engine.stop()
    assert all(future.result(0) is None for future in waiting)
    with pytest.raises(Stopping):
        upsert(engine, 11)


def test_a_failure_to_open_is_raised_to_whoever_starts_it(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("not json")
    with pytest.raises(ValueError, match="JSON"):
        EngineThread(tmp_path).start()
