"""Overload and time limits as a client sees them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from engine.catalogue import Catalogue
from engine.protocol import CreateCollection
from engine.server import create_app
from engine.thread import MAX_WAITING, EngineThread

CONFIG = CreateCollection.model_validate_json('{"vectors": {"v": {"size": 2, "distance": "Dot"}}}')
POINT = {"points": [{"id": 1, "vector": {"v": [1, 0]}}]}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineThread]:
    engine = EngineThread(tmp_path)
    engine.start()
    engine.submit(lambda c: c.create("things", CONFIG)).result()
    yield engine
    engine.stop()


@pytest.fixture
def http(engine: EngineThread) -> Iterator[httpx.Client]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(engine, None), log_config=None))
    serving = threading.Thread(target=server.run, args=([listening],))
    serving.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=120) as client:
        yield client
    server.should_exit = True
    serving.join()
    listening.close()


@pytest.fixture
def busy(engine: EngineThread) -> Iterator[threading.Event]:
    """The engine works on something until the event is set."""
    reached, done = threading.Event(), threading.Event()

    def work(_: Catalogue) -> None:
        reached.set()
        done.wait(120)

    engine.submit(work)
    assert reached.wait(60)
    yield done
    done.set()


def test_what_does_not_start_in_time_is_not_done(http: httpx.Client, busy: threading.Event) -> None:
    answer = http.put("/collections/things/points?wait=true&timeout=1", json=POINT)
    assert answer.status_code == 408
    busy.set()
    assert http.post("/collections/things/points/count", json={}).json()["result"] == {"count": 0}


def test_an_overload_says_when_to_come_back(
    engine: EngineThread, http: httpx.Client, busy: threading.Event
) -> None:
    for _ in range(MAX_WAITING):
        engine.submit(lambda c: c.names())
    answer = http.put("/collections/things/points", json=POINT)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "ask again" in answer.json()["status"]["error"]
    busy.set()
    assert http.put("/collections/things/points", json=POINT).status_code == 200


def test_a_write_says_whether_the_client_wanted_to_wait(http: httpx.Client) -> None:
    waited = http.put("/collections/things/points?wait=true", json=POINT).json()["result"]
    hurried = http.put("/collections/things/points", json=POINT).json()["result"]
    assert (waited["status"], hurried["status"]) == ("completed", "acknowledged")
