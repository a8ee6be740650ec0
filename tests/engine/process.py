"""A real engine process for tests: started on a free port, stopped or killed by its own handle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 120
"""How long anything may take: a busy machine takes long, and one that hangs is found out."""


class EngineProcess:
    """`python -m engine` over a data directory."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine", "--data-dir", str(data_dir), "--port", "0", *options],
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )

    def ready(self) -> Self:
        """Wait until it answers; fails with its log when it never does."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self.said().get("pid") == self._process.pid:
                return self
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the engine did not start: {self.log.read_text()}")

    def said(self) -> dict[str, object]:
        """What `engine.json` says; empty while there is none."""
        try:
            said: dict[str, object] = json.loads((self.data_dir / "engine.json").read_text())
        except FileNotFoundError:
            return {}
        return said

    @property
    def url(self) -> str:
        """Where it listens."""
        said = self.said()
        return f"http://{said['host']}:{said['port']}"

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def terminate(self) -> int:
        """Stop it as an administrator would; its exit status."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.terminate()


def lives(pid: int) -> bool:
    """Whether there is such a process, zombies left out."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is being looked at
        return False
    return state != "Z"
