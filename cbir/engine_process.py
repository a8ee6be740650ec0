"""The embedded vector engine as a child process, or the one of this data directory that already runs."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cbir.ports import free_port
from cbir.settings import Settings
from cbir.supervise import Supervisor
from indexer.errors import VectorIndexUnavailable

READY_WAIT_S = 600.0
ASK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a Qdrant, or our engine in its place, is spoken to."""

    url: str
    api_key: str = ""


@contextmanager
def vector_endpoint(settings: Settings) -> Iterator[Endpoint]:
    """The Qdrant server of the settings, the engine that runs already, or one for as long as we need it."""
    if settings.qdrant_url:
        yield Endpoint(settings.qdrant_url, settings.qdrant_api_key.get_secret_value())
        return
    running = running_engine(settings.data_dir)
    if running is not None:
        yield running
        return
    with Supervisor() as supervisor:
        yield start_engine(settings.data_dir, supervisor)


def start_engine(data_dir: Path, supervisor: Supervisor) -> Endpoint:
    """Start the engine on a free loopback port, keep it running, and wait until it answers.

    Raises:
        VectorIndexUnavailable: it did not answer in ten minutes, which is long even for a large log to be
            replayed from a slow disk; its own log lines say why.
    """
    folder = data_dir / "engine"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = free_port()
    endpoint = Endpoint(f"http://127.0.0.1:{port}", _api_key(data_dir))
    supervisor.start(
        "engine",
        [
            *(sys.executable, "-m", "engine"),
            *("--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)),
            *("--api-key-file", str(_key_path(data_dir)), "--parent-pid", str(os.getpid())),
            *("--log-level", logging.getLevelName(logging.getLogger().getEffectiveLevel())),
        ],
        {},
    )
    _wait_until_ready(endpoint)
    return endpoint


def running_engine(data_dir: Path) -> Endpoint | None:
    """The engine that serves this data directory now, if there is one."""
    try:
        said = json.loads((data_dir / "engine" / "engine.json").read_text())
        endpoint = Endpoint(
            f"http://{said['host']}:{int(said['port'])}", _key_path(data_dir).read_text().strip()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return endpoint if _answers(endpoint) else None


def _wait_until_ready(endpoint: Endpoint) -> None:
    deadline = time.monotonic() + READY_WAIT_S
    while time.monotonic() < deadline:
        if _answers(endpoint):
            return
        time.sleep(ASK_AGAIN_S)
    raise VectorIndexUnavailable(
        f"The vector engine did not answer within {READY_WAIT_S:.0f} s: look at its lines above. "
        "Another process may still hold this data directory."
    )


def _answers(endpoint: Endpoint) -> bool:
    try:
        answer = httpx.get(
            f"{endpoint.url}/collections", headers={"api-key": endpoint.api_key}, timeout=5.0, trust_env=False
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def _key_path(data_dir: Path) -> Path:
    return data_dir / "engine.key"


def _api_key(data_dir: Path) -> str:
    path = _key_path(data_dir)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()
