"""What docker-compose.yml says, as docker-compose reads it, and what the Dockerfile makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.dockerfile import Built, Context, build

ROOT = Path(__file__).parent.parent.parent
REQUIRED = re.compile(r"^([A-Z_]+)=$", re.MULTILINE)
OPTIONAL = frozenset({"CBIR_AE_PRESETS", "CBIR_CALLERS", "CBIR_DESTINATIONS"})

Composed = dict[str, Any]


def required_variables() -> list[str]:
    """The variables that .env.example leaves to be filled in."""
    names = REQUIRED.findall((ROOT / ".env.example").read_text())
    return [name for name in names if name not in OPTIONAL]


def filled_in(folder: Path, without: str = "") -> Path:
    """A .env as an administrator would make it; `without` leaves one value empty."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    secrets = {
        f"{name}=": f"{name}={name.lower().replace('_', '')}0123456789" for name in required_variables()
    }
    path = folder / ".env"
    path.write_text("\n".join(line if line == f"{without}=" else secrets.get(line, line) for line in lines))
    return path


def docker_compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run docker-compose on the repository; nothing of this needs an engine."""
    program = shutil.which("docker-compose")
    if program is None:
        if os.environ.get("CBIR_REQUIRE_COMPOSE") == "1":
            pytest.fail("CBIR_REQUIRE_COMPOSE=1 promises docker-compose: apt-get install docker-compose")
        pytest.skip("docker-compose is not installed")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CBIR_", "ORTHANC_"))
    }
    return subprocess.run(
        [program, "--project-directory", str(ROOT), "--file", str(ROOT / "docker-compose.yml"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=240,
    )


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    """The file with every variable and anchor resolved."""
    environment = str(filled_in(tmp_path_factory.mktemp("env")))
    done = docker_compose("--env-file", environment, "--profile", "cpu", "--profile", "gpu", "config")
    assert done.returncode == 0, done.stderr
    read: Composed = yaml.safe_load(done.stdout)
    for service in read["services"].values():
        service["ports"] = [_short_port(port) for port in service.get("ports", [])]
        service["volumes"] = [_short_volume(volume) for volume in service.get("volumes", [])]
    return read


def _short_port(port: str | Composed) -> str:
    """Version 2 of docker-compose writes the long form."""
    if isinstance(port, str):
        return port
    return f"{port.get('host_ip', '')}:{port['published']}:{port['target']}"


def _short_volume(volume: str | Composed) -> str:
    if isinstance(volume, str):
        return volume
    return f"{volume['source']}:{volume['target']}:{'ro' if volume.get('read_only') else 'rw'}"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The CPU image without its base: every COPY and RUN of the Dockerfile, executed in an empty folder."""
    root = tmp_path_factory.mktemp("image")
    return build(ROOT / "docker" / "Dockerfile", Context(ROOT), root, {"RUNTIME": "cpu"})
