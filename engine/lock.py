"""One engine a data directory, and where to find it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO

from engine.durable import write_atomically


class AlreadyOpen(RuntimeError):
    """Another engine has this data directory; the text names it."""


class DataDirectory:
    """Held by one process; `engine.json` says which, and where it listens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._announcement = path / "engine.json"
        self._lock: IO[bytes] | None = None

    def acquire(self) -> None:
        """Make the folder and take it until this process ends, however it ends. Raises AlreadyOpen."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.path / "engine.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise AlreadyOpen(f"{self.path} is open in {self._who()}: stop that one, or use it.") from error
        self._lock = lock
        self._announcement.unlink(missing_ok=True)

    def announce(self, host: str, port: int, version: str) -> None:
        """Say that the engine is ready, and where."""
        said = {"host": host, "port": port, "pid": os.getpid(), "version": version}
        write_atomically(self._announcement, json.dumps(said).encode())

    def release(self) -> None:
        """Take the announcement back and let go of the folder."""
        self._announcement.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def _who(self) -> str:
        try:
            said = json.loads(self._announcement.read_bytes())
            return f"the engine at http://{said['host']}:{said['port']} (process {said['pid']})"
        except (OSError, ValueError, KeyError):
            return "another engine that is just starting or stopping"
