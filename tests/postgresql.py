"""A PostgreSQL cluster of our own, on a socket in a temporary folder, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

START_LIMIT_S = 120.0


class NotInstalledError(Exception):
    """There is no PostgreSQL here."""


class Cluster:
    """A running server; every database asked for is new and empty."""

    def __init__(self, sockets: Path, server: subprocess.Popen[bytes]) -> None:
        self._sockets = sockets
        self._server = server
        self._names = (f"ledger{number}" for number in count(1))

    def database_url(self) -> str:
        name = next(self._names)
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._sockets}"

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(f"host={self._sockets} user=postgres dbname=postgres", autocommit=True)

    def wait(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start one as an unprivileged user (PostgreSQL refuses root), and end it by its own process id."""
    binaries = _binaries()
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="cbir-pg-"))
    try:
        os.chown(folder, user.pw_uid, user.pw_gid)
        _initialise(binaries, folder, user)
        with _server(binaries, folder, user) as server:
            yield server
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise NotInstalledError("PostgreSQL is not installed: apt install postgresql")


def _user() -> pwd.struct_passwd:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError as error:
        raise NotInstalledError("PostgreSQL does not run as root, and there is no user postgres.") from error


def _initialise(binaries: Path, folder: Path, user: pwd.struct_passwd) -> None:
    """With a language that sorts unlike bytes do, so that paging is put to the test."""
    options = ["-A", "trust", "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8"]
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-N", *options],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        user=_unless_already(user.pw_uid),
        group=_unless_already(user.pw_gid),
    )


@contextmanager
def _server(binaries: Path, folder: Path, user: pwd.struct_passwd) -> Iterator[Cluster]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-F"],
            cwd=folder,
            stdout=log,
            stderr=log,
            user=_unless_already(user.pw_uid),
            group=_unless_already(user.pw_gid),
        )
    try:
        running = Cluster(folder, process)
        running.wait()
        yield running
    finally:
        process.send_signal(signal.SIGQUIT)  # immediate shutdown: nothing is written that is deleted next
        process.wait(timeout=START_LIMIT_S)


def _unless_already(number: int) -> int | None:
    """Only root becomes somebody else."""
    return number if os.getuid() == 0 else None
