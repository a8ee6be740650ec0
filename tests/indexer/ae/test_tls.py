from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.ae.answering import Answering
from indexer.ae.entity import ApplicationEntity
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.ae.tls import mutual_tls
from indexer.destinations import Destination
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import ECHOSCU, echo, wait_until


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, which is its own authority."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}".split()
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def entity(tmp_path: Path) -> Iterator[ApplicationEntity]:
    certificate(tmp_path, "server")
    certificate(tmp_path, "caller")
    callers = (Destination.parse("WS1=localhost:104"),)
    questions = Questions(
        spool=Spool(tmp_path / "questions"),
        answering=Answering(FakeSearcher()),
        deliver=lambda *_: None,
        callers=callers,
    )
    entity = ApplicationEntity(
        ae_title="CBIR",
        host="127.0.0.1",
        port=0,
        callers=callers,
        questions=questions,
        tls=mutual_tls(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "caller.pem"),
        presets=("CBIR_CT",),
    )
    questions.start()
    entity.start()
    yield entity
    entity.stop()
    questions.stop()


def echo_over_tls(port: int, folder: Path, *identity: str, called: str = "CBIR") -> bool:
    """C-ECHO by dcmtk's echoscu; `identity` is how it shows itself."""
    command = [ECHOSCU, *identity, "+cf", str(folder / "server.pem"), "-aet", "WS1", "-aec", called]
    done = subprocess.run([*command, "localhost", str(port)], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def shown(folder: Path, name: str) -> tuple[str, str, str]:
    return "+tls", str(folder / f"{name}.key"), str(folder / f"{name}.pem")


def test_a_caller_with_its_certificate_gets_an_echo(entity: ApplicationEntity, tmp_path: Path) -> None:
    assert echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"))


def test_a_preset_is_called_over_tls_as_well(entity: ApplicationEntity, tmp_path: Path) -> None:
    assert echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"), called="CBIR_CT")
    assert not echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"), called="CBIR_MR")


def test_a_caller_with_a_strange_certificate_is_turned_away(
    entity: ApplicationEntity, tmp_path: Path
) -> None:
    certificate(tmp_path, "stranger")
    assert not echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "stranger"))
    assert echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"))


def test_a_caller_without_a_certificate_is_turned_away(entity: ApplicationEntity, tmp_path: Path) -> None:
    assert not echo_over_tls(entity.port, tmp_path, "+tla")


def test_a_caller_without_tls_is_turned_away(entity: ApplicationEntity) -> None:
    assert echo(entity.port).returncode != 0


def test_a_peer_that_connects_and_says_nothing_does_not_keep_the_others_out(
    entity: ApplicationEntity, tmp_path: Path
) -> None:
    with socket.create_connection(("127.0.0.1", entity.port)):
        assert echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"))
    wait_until(lambda: entity.connections == 0)
