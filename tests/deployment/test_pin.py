from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from cbir.ports import free_port

ROOT = Path(__file__).parent.parent.parent


def _load() -> ModuleType:
    specification = importlib.util.spec_from_file_location("pin", ROOT / "docker" / "pin.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["pin"] = module
    specification.loader.exec_module(module)
    return module


pin = _load()


class RegistryHandler(BaseHTTPRequestHandler):
    """A registry as Docker Hub is one: a token for everybody, and a digest for who brings it."""

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer everybody":
            self.send_response(401)
            realm = f"http://{self.headers['Host']}/token"
            scope = f"repository:{self.path.split('/manifests/')[0].removeprefix('/v2/')}:pull"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="hub",scope="{scope}"')
        elif "vnd.oci.image.index" not in self.headers.get("Accept", ""):
            self.send_response(406)
        else:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", _digest(self.path))
        self.end_headers()

    def do_GET(self) -> None:
        body = json.dumps({"token": "everybody"}).encode()
        self.send_response(200 if "scope=repository" in self.path else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _digest(path: str) -> str:
    return f"sha256:{hashlib.sha256(path.encode()).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), RegistryHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    for file in pin.FILES:
        shutil.copyfile(ROOT / file, tmp_path / file)
    return tmp_path


def test_every_image_of_a_registry_gets_its_digest(repository: Path, registry: str) -> None:
    pin.pin(repository, pin.Registry(registry))
    compose = (repository / "docker-compose.yml").read_text()
    dockerfile = (repository / "docker" / "Dockerfile").read_text()
    assert (
        f"image: postgres:18.6-bookworm@{_digest('/v2/library/postgres/manifests/18.6-bookworm')}" in compose
    )
    assert (
        f"image: orthancteam/orthanc:26.9.1@{_digest('/v2/orthancteam/orthanc/manifests/26.9.1')}" in compose
    )
    assert "ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:" in dockerfile
    assert compose.count("@sha256:") == 3
    assert "image: pacs-cbir:0.1.0-cpu\n" in compose


def test_pinning_again_changes_nothing(repository: Path, registry: str) -> None:
    pin.pin(repository, pin.Registry(registry))
    first = [(repository / file).read_text() for file in pin.FILES]
    pin.pin(repository, pin.Registry(registry))
    assert [(repository / file).read_text() for file in pin.FILES] == first


def test_without_a_registry_nothing_is_written_and_the_reason_is_said(repository: Path) -> None:
    before = [(repository / file).read_text() for file in pin.FILES]
    with pytest.raises(pin.Unreachable, match="cannot be reached"):
        pin.pin(repository, pin.Registry(f"http://127.0.0.1:{free_port()}"))
    assert [(repository / file).read_text() for file in pin.FILES] == before


def test_every_from_and_every_image_is_found() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    foreign = [line for line in compose.splitlines() if "image:" in line and "pacs-cbir" not in line]
    assert len(pin.images(compose)) == len(foreign) == 3
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert len(pin.images(dockerfile)) == 1
    froms = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM")]
    assert set(froms) == {"${PYTHON_IMAGE}"}
