"""A workstation: a real SCP that takes answers, and real SCUs that ask."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import pydicom
from pydicom.dataset import Dataset

from cbir.ports import free_port

STORESCP = "/usr/bin/storescp"
STORESCU = "/usr/bin/storescu"
ECHOSCU = "/usr/bin/echoscu"


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for something that happens by itself; fail when it does not."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Workstation:
    """dcmtk's storescp, keeping what it receives in a folder."""

    def __init__(self, folder: Path, ae_title: str = "WS1", port: int | None = None) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Workstation:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [STORESCP, "--output-directory", str(self.folder), "-aet", self.ae_title, str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: listens(self.port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def answers(self) -> list[Dataset]:
        """The reports that were received and are whole, in the order of names."""
        return [dataset for dataset in self._received() if "ContentSequence" in dataset]

    def sheets(self) -> list[Dataset]:
        """The contact sheets that were received and are whole, in the order of names."""
        return [dataset for dataset in self._received() if "PixelData" in dataset]

    def _received(self) -> list[Dataset]:
        return [pydicom.dcmread(path) for path in self._whole()]

    def _whole(self) -> list[Path]:
        """The files that are there and are not being written any more."""
        assert self._process is not None
        there = sorted(self.folder.iterdir())
        being_written = set()
        for descriptor in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                being_written.add(descriptor.readlink())
        return [path for path in there if path.resolve() not in being_written]

    def waits_for(self, count: int, timeout_s: float = 60.0) -> list[Dataset]:
        """The answers, once there are so many of them."""
        wait_until(lambda: len(self.answers()) >= count, timeout_s)
        return self.answers()


def send(
    port: int,
    paths: Sequence[Path],
    *options: str,
    calling: str = "WS1",
    called: str = "CBIR",
    host: str = "127.0.0.1",
) -> subprocess.CompletedProcess[str]:
    """C-STORE by dcmtk's storescu."""
    return subprocess.run(
        [STORESCU, "-v", "-aet", calling, "-aec", called, *options, host, str(port), *map(str, paths)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
    )


def echo(port: int, calling: str = "WS1", called: str = "CBIR") -> subprocess.CompletedProcess[str]:
    """C-ECHO by dcmtk's echoscu."""
    return subprocess.run(
        [ECHOSCU, "-v", "-aet", calling, "-aec", called, "127.0.0.1", str(port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
