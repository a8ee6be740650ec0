"""The engine as a process: started, refused, killed, stopped, and alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from tests.engine.process import PATIENCE_S, EngineProcess, lives

VECTORS = {
    "v": models.VectorParams(size=16, distance=models.Distance.COSINE),
    "m": models.VectorParams(
        size=16,
        distance=models.Distance.COSINE,
        datatype=models.Datatype.FLOAT16,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
    ),
}


def connect(engine: EngineProcess) -> QdrantClient:
    return QdrantClient(url=engine.url, check_compatibility=False, timeout=PATIENCE_S)


def point(number: int) -> models.PointStruct:
    rng = np.random.default_rng(number)
    return models.PointStruct(
        id=number,
        vector={"v": rng.normal(size=16).tolist(), "m": rng.normal(size=(3, 16)).tolist()},
        payload={"number": number},
    )


def asked(number: int) -> list[list[float]]:
    rows: list[list[float]] = np.random.default_rng(number).normal(size=(2, 16)).tolist()
    return rows


def eventually(true: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_engine_json_says_where_it_listens_only_while_it_does(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        said = engine.said()
        assert set(said) == {"host", "port", "pid", "version"}
        assert (said["host"], said["pid"]) == ("127.0.0.1", engine.pid)
        assert httpx.get(engine.url, timeout=PATIENCE_S).json()["version"] == said["version"]
        assert engine.terminate() == 0
        assert engine.said() == {}


def test_a_second_engine_is_told_which_one_is_running(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        second = subprocess.run(
            [sys.executable, "-m", "engine", "--data-dir", str(tmp_path / "data"), "--port", "0"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert second.returncode == 2
        assert f"{engine.url} (process {engine.pid})" in second.stderr
        assert httpx.get(f"{engine.url}/healthz", timeout=PATIENCE_S).status_code == 200
        assert engine.said()["pid"] == engine.pid


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])  # noqa: S104 - refused
def test_an_address_that_others_can_reach_is_refused(tmp_path: Path, host: str) -> None:
    started = EngineProcess(tmp_path / "data", "--host", host)
    assert started.wait() == 2
    assert "loopback only" in started.log.read_text()


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = EngineProcess(tmp_path / "data", "--port", str(port))
        assert started.wait() == 2
    assert f"Port {port}" in started.log.read_text()


def test_the_api_key_is_wanted_when_there_is_one(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sesame\n")
    with EngineProcess(tmp_path / "data", "--api-key-file", str(key_file)) as engine:
        url = f"{engine.url}/collections"
        assert httpx.get(url, timeout=PATIENCE_S).status_code == 401
        assert httpx.get(url, headers={"api-key": "wrong"}, timeout=PATIENCE_S).status_code == 401
        assert httpx.get(url, headers={"api-key": "sesame"}, timeout=PATIENCE_S).status_code == 200
        assert (
            httpx.get(url, headers={"Authorization": "Bearer sesame"}, timeout=PATIENCE_S).status_code == 200
        )
        assert httpx.get(f"{engine.url}/healthz", timeout=PATIENCE_S).status_code == 200
        client = QdrantClient(
            url=engine.url, metadata={"api-key": "sesame"}, check_compatibility=False, timeout=PATIENCE_S
        )
        assert client.get_collections().collections == []
        client.close()


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    started = EngineProcess(tmp_path / "data", "--api-key-file", str(tmp_path / "key"))
    assert started.wait() == 2


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        client.create_collection("things", VECTORS)
        client.create_payload_index("things", "number", models.PayloadSchemaType.INTEGER)
        client.upsert("things", [point(n) for n in range(50)])
        client.delete("things", models.PointIdsList(points=[7]))
        alias = models.CreateAlias(collection_name="things", alias_name="now")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
        before = client.query_points("now", query=asked(3), using="m", with_vectors=True)
        described = client.get_collection("things")
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        after = client.query_points("now", query=asked(3), using="m", with_vectors=True)
        assert [p.model_dump() for p in after.points] == [p.model_dump() for p in before.points]
        assert client.count("things").count == 49
        assert client.get_collection("things").config == described.config
        assert client.get_collection("things").payload_schema == described.payload_schema


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        client.create_collection("things", VECTORS)
        client.upsert("things", [point(0)])
        client.delete("things", models.PointIdsList(points=[0]))

        def write(worker: int) -> None:
            for n in range(1 + worker, 1_000_000, 4):
                try:
                    client.upsert("things", [point(n)], wait=True)
                except (ResponseHandlingException, UnexpectedResponse):
                    return
                acknowledged.append(n)

        with ThreadPoolExecutor(4) as pool:
            for worker in range(4):
                pool.submit(write, worker)
            in_time = eventually(lambda: len(acknowledged) >= 300)
            engine.kill()
        assert in_time
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        for start in range(0, len(acknowledged), 200):
            wanted = acknowledged[start : start + 200]
            stored = {p.id: p for p in client.retrieve("things", wanted, with_vectors=True)}
            assert stored.keys() == set(wanted)
            for n in wanted:
                assert stored[n].payload == {"number": n}
                assert _direction(stored[n].vector, "v") == pytest.approx(
                    _direction(point(n).vector, "v"), abs=1e-5
                )
        assert client.retrieve("things", [0]) == []


def test_a_kill_while_collections_come_and_go_leaves_whole_ones(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        made: list[str] = []

        def churn() -> None:
            for n in range(10_000):
                try:
                    client.create_collection(f"c{n}", VECTORS)
                    made.append(f"c{n}")
                    if n >= 2:
                        client.delete_collection(f"c{n - 2}")
                except (ResponseHandlingException, UnexpectedResponse):
                    return

        churning = threading.Thread(target=churn)
        churning.start()
        in_time = eventually(lambda: len(made) >= 5)
        engine.kill()
        churning.join()
        assert in_time
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        names = {c.name for c in client.get_collections().collections}
        assert made[-1] in names
        for name in names:
            assert client.count(name).count == 0
        assert list((tmp_path / "data" / "unfinished").iterdir()) == []


def test_an_engine_that_is_told_to_stop_finishes_what_waits(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        client.create_collection("things", VECTORS)
        client.upsert("things", [point(n) for n in range(200)])
        assert engine.terminate() == 0
        assert "engine_stopped" in engine.log.read_text()
    with EngineProcess(tmp_path / "data") as engine:
        assert connect(engine).count("things").count == 200


def test_many_clients_write_and_ask_at_once(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        connect(engine).create_collection("things", VECTORS)

        def write_and_ask(worker: int) -> int:
            client = connect(engine)
            for n in range(worker * 20, worker * 20 + 20):
                client.upsert("things", [point(n)])
                found = client.query_points("things", query=asked(n), using="m", limit=3)
                assert 0 < len(found.points) <= 3
                assert client.retrieve("things", [n])[0].payload == {"number": n}
            client.close()
            return 20

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(write_and_ask, range(16))) == 320
        assert connect(engine).count("things").count == 320


def test_an_engine_does_not_outlive_the_process_that_wanted_it(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            "subprocess.Popen([sys.executable, '-m', 'engine', '--data-dir', sys.argv[1], '--port', '0',"
            " '--parent-pid', str(os.getpid())])\n"
            "time.sleep(300)",
            str(tmp_path / "data"),
        ],
        stderr=subprocess.DEVNULL,
    )
    announcement = tmp_path / "data" / "engine.json"
    try:
        assert eventually(announcement.exists)
        pid = json.loads(announcement.read_text())["pid"]
        assert lives(pid)
    finally:
        parent.kill()
        parent.wait()
    assert eventually(lambda: not lives(pid))
    assert not announcement.exists()


def test_an_engine_stops_with_a_process_that_is_not_its_parent(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        with EngineProcess(tmp_path / "data", "--parent-pid", str(other.pid)) as engine:
            time.sleep(1.5)
            assert lives(engine.pid)
            other.kill()
            other.wait()
            assert engine.wait() == 0
    finally:
        other.kill()
        other.wait()


def test_an_interrupt_stops_it_cleanly(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        os.kill(engine.pid, signal.SIGINT)
        engine.wait()
        assert engine.said() == {}
        assert "engine_stopped" in engine.log.read_text()


def test_only_the_owner_can_read_what_is_stored(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        client = connect(engine)
        client.create_collection("things", VECTORS)
        client.upsert("things", [point(1)])
        open_to_others = [p for p in (tmp_path / "data").rglob("*") if p.stat().st_mode & 0o077]
    assert open_to_others == []
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def _direction(vectors: object, name: str) -> list[float]:
    assert isinstance(vectors, dict)
    array = np.asarray(vectors[name])
    unit: list[float] = (array / np.linalg.norm(array)).tolist()
    return unit


def test_a_damaged_collection_is_named_and_nothing_is_thrown_away(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "data") as engine:
        connect(engine).create_collection("things", VECTORS)
    config = tmp_path / "data" / "collections" / "things" / "config.json"
    config.write_text("{")
    started = EngineProcess(tmp_path / "data")
    assert started.wait() == 2
    assert "collections/things cannot be opened" in started.log.read_text()
    assert (config.parent / "shard").is_dir()
