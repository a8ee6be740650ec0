"""The image without an engine: the Dockerfile's commands executed, and what they made put to work."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.data import get_testdata_file

from cbir.ports import free_port
from demo.families import FAMILIES, write_studies
from tests.deployment.conftest import ROOT, Composed
from tests.deployment.dockerfile import Built, Context
from tests.postgresql import NotInstalledError, cluster

pytestmark = pytest.mark.timeout(900)

READY_S = 180.0
INDEXED_S = 240.0
PER_FAMILY = 2
SERIES = PER_FAMILY * sum(len(family.series) for family in FAMILIES)


@dataclass(frozen=True)
class House:
    """An indexer and a worker of the image, in processes of their own."""

    http_port: int
    inference_port: int
    token: str
    logs: Path

    def log(self) -> str:
        """The last lines of both."""
        return "".join(path.read_text()[-2000:] for path in sorted(self.logs.glob("*.log")))

    def get(self, path: str) -> httpx.Response:
        return httpx.get(
            f"http://127.0.0.1:{self.http_port}{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            trust_env=False,
            timeout=120,
        )


@contextlib.contextmanager
def running(image: Built, command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """The image's entrypoint with a command, ended by its process id."""
    program = Path(image.inside("/opt/cbir/bin")) / image.entrypoint[0]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [program, *command],
            cwd=image.inside(image.workdir),
            env={**image.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(120) == 0, log.read_text()[-2000:]


def healthcheck(composed: Composed, image: Built, service: str, moved: Mapping[str, int]) -> int:
    """The exit status of a service's own health check, on the ports of this test."""
    keyword, *command = composed["services"][service]["healthcheck"]["test"]
    assert keyword == "CMD"
    for port, here in moved.items():
        command = [word.replace(port, str(here)) for word in command]
    done = subprocess.run(
        command,
        env=image.environment,
        check=False,
        capture_output=True,
        timeout=120,
        executable=_found(command[0], image),
    )
    return done.returncode


def _found(program: str, image: Built) -> str:
    folders = [Path(folder) for folder in image.environment["PATH"].split(":")]
    return str(next(folder / program for folder in folders if (folder / program).exists()))


@pytest.fixture(scope="module")
def databases() -> Iterator[str]:
    """The URL of the ledger's database, made by the script that the PostgreSQL image runs."""
    try:
        with cluster() as server:
            with server.connect() as connection:
                host = connection.info.host
            environment = {
                "PATH": os.environ["PATH"],
                "PGHOST": host,
                "POSTGRES_USER": "postgres",
                "ORTHANC_DATABASE_PASSWORD": "it's orthanc",
                "CBIR_DATABASE_PASSWORD": "cbir0123",
            }
            subprocess.run([ROOT / "docker" / "databases.sh"], env=environment, check=True, timeout=120)
            yield f"postgresql+psycopg://cbir:cbir0123@/cbir?host={host}"
    except NotInstalledError as missing:
        if os.environ.get("CBIR_REQUIRE_POSTGRESQL") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def test_ledger_and_orthanc_cannot_look_into_each_other(databases: str) -> None:
    host = databases.partition("host=")[2]

    def connect(user: str, database: str) -> bool:
        command = [
            "psql",
            "-h",
            host,
            "-U",
            user,
            "-d",
            database,
            "-tAc",
            "CREATE TABLE t(); DROP TABLE t; SELECT 1",
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert connect("cbir", "cbir")
    assert connect("orthanc", "orthanc")
    assert not connect("cbir", "orthanc")
    assert not connect("orthanc", "cbir")
    command = ["psql", "-h", host, "-U", "orthanc", "-d", "orthanc", "-tAc", "CREATE EXTENSION pg_trgm"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0, (
        "Orthanc's index wants it"
    )


def test_the_image_holds_what_runs_and_nothing_else(image: Built) -> None:
    assert image.user == "10001:10001"
    assert image.entrypoint == ["cbir"]
    installed = Path(image.inside("/opt/cbir/lib/python3.11/site-packages"))
    packages = {path.name.partition("-")[0] for path in installed.iterdir()}
    assert {"cbir", "engine", "indexer", "inference", "onnxruntime", "psycopg"} <= packages
    unwanted = {
        "demo",
        "training",
        "tests",
        "plugin",
        "pytest",
        "mypy",
        "ruff",
        "onnx",
        "torch",
        "hypothesis",
    }
    assert unwanted & packages == set()
    assert {"pip", "setuptools", "pylibjpeg_libjpeg"} & packages == set()
    assert (installed / "indexer" / "web" / "index.html").is_file()
    assert list((installed / "indexer" / "migrations" / "versions").glob("*.py"))
    assert Path(image.inside("/var/lib/cbir")).stat().st_mode & 0o777 == 0o700


def test_the_engine_is_given_neither_secrets_nor_data() -> None:
    context = Context(ROOT)
    for name in (
        ".env",
        "orthanc.json",
        "docker-compose.yml",
        "tests/conftest.py",
        ".git/config",
        "plugin/LICENSE",
    ):
        assert not context.admits(ROOT / name), name
    assert context.admits(ROOT / "cbir" / "serve.py")
    assert not context.admits(ROOT / "cbir" / "__pycache__" / "serve.cpython-311.pyc")


def test_every_command_of_the_image_says_what_it_does(image: Built) -> None:
    program = Path(image.inside("/opt/cbir/bin/cbir"))
    done = subprocess.run(
        [program, "--help"], env=image.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "serve" in done.stdout
    assert "worker" in done.stdout


@pytest.fixture(scope="module")
def house(
    image: Built, databases: str, composed: Composed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Indexer and worker as docker-compose.yml starts them, but for addresses, a folder and the engine."""
    folder, logs = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("logs")
    list(write_studies(folder, per_family=PER_FAMILY))
    twelve_bits = get_testdata_file("JPGExtended.dcm", download=False)
    assert isinstance(twelve_bits, str)
    (folder / "twelve.dcm").write_bytes(Path(twelve_bits).read_bytes())
    http_port, inference_port = free_port(), free_port()
    ours = {"CBIR_DATABASE_URL": databases, "CBIR_FOLDER": str(folder), "CBIR_QDRANT_URL": ""}
    indexer = {
        **composed["services"]["indexer"]["environment"],
        **ours,
        "CBIR_HTTP_PORT": str(http_port),
        "CBIR_DIMSE_PORT": str(free_port()),
        "CBIR_INFERENCE_URL": f"http://127.0.0.1:{inference_port}",
        "CBIR_RECONCILE_S": "2",
        "CBIR_QUIET_S": "1",
    }
    worker = {
        **composed["services"]["worker"]["environment"],
        **ours,
        "CBIR_INFERENCE_PORT": str(inference_port),
    }
    made = House(http_port, inference_port, indexer["CBIR_API_TOKEN"], logs)
    with running(image, composed["services"]["indexer"]["command"], indexer, logs / "indexer.log"):
        _wait(composed, image, "indexer", {"8090": http_port}, logs)
        with running(image, composed["services"]["worker"]["command"], worker, logs / "worker.log"):
            _wait(composed, image, "worker", {"8091": inference_port}, logs)
            yield made


def _wait(composed: Composed, image: Built, service: str, ports: Mapping[str, int], logs: Path) -> None:
    deadline = time.monotonic() + READY_S
    while healthcheck(composed, image, service, ports) != 0:
        assert time.monotonic() < deadline, (logs / f"{service}.log").read_text()[-3000:]
        time.sleep(0.2)


def test_the_health_checks_fail_where_nobody_listens(composed: Composed, image: Built) -> None:
    nobody = free_port()
    assert healthcheck(composed, image, "indexer", {"8090": nobody}) != 0
    assert healthcheck(composed, image, "worker", {"8091": nobody}) != 0
    assert healthcheck(composed, image, "qdrant", {"6333": nobody, "$$": "$"}) != 0  # type: ignore[dict-item]


def test_what_qdrant_would_answer_passes_its_health_check(
    composed: Composed, image: Built, house: House
) -> None:
    """The same lines against a server that answers 200, and against one that answers 401."""
    check = composed["services"]["qdrant"]["healthcheck"]["test"][-1].replace("$$", "$")
    for path, status in (("/healthz", 0), ("/readyz", 1)):
        lines = check.replace("6333", str(house.http_port)).replace("/readyz", path)
        assert subprocess.run(["bash", "-c", lines], check=False, timeout=120).returncode == status


def test_indexer_and_worker_of_the_image_index_and_answer(house: House) -> None:
    deadline = time.monotonic() + INDEXED_S
    while (counts := house.get("/api/status").json()["series"])["indexed"] < SERIES or counts["waiting"]:
        assert time.monotonic() < deadline, f"{counts} {house.log()}"
        time.sleep(0.3)
    studies = house.get("/api/studies").json()["studies"]
    question = {"example": {"study_instance_uid": studies[0]["study_instance_uid"]}, "limit": 3}
    answer = httpx.post(
        f"http://127.0.0.1:{house.http_port}/api/search",
        json=question,
        headers={"Authorization": f"Bearer {house.token}"},
        trust_env=False,
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["matches"]) == 3


def test_what_needs_the_optional_decoder_says_so(house: House) -> None:
    deadline = time.monotonic() + INDEXED_S
    while not (reasons := house.get("/api/status").json()["reasons"]):
        assert time.monotonic() < deadline, house.log()
        time.sleep(0.3)
    assert reasons == {"missing_decoder": 1}
