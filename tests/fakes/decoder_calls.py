"""Calls that a decoder process may be asked to make in a test: good, slow and deadly ones."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path, PosixPath
from typing import IO, Any

import numpy as np

from indexer.errors import Unsupported


def double(number: int) -> int:
    """A good call."""
    return 2 * number


def never_return() -> None:
    """A decoder that hangs inside a codec: no Python code runs any more, no signal handler either."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        ctypes.PyDLL(None).sleep(3600)


def leave(status: int) -> None:
    """A codec that ends its process."""
    os._exit(status)


def crash() -> None:
    """A codec that writes where it must not: SIGSEGV."""
    ctypes.memset(0, 0, 1)


def fill_memory(size_bytes: int) -> int:
    """A codec that believes what a codestream asks for."""
    return int(np.ones(size_bytes, dtype=np.uint8).nbytes)


def page_faults_of_one_more_array(size_bytes: int) -> int:
    """Pages that must be fetched from the kernel for an array like four that were just freed together."""
    del [np.ones(size_bytes, dtype=np.uint8) for _ in range(4)][:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(size_bytes, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def refuse() -> None:
    """A refusal in our own words."""
    raise Unsupported("Not a clinical image: report.", reason="report")


def stumble() -> None:
    """An error that nobody foresaw, whose text quotes the file."""
    raise KeyError("DOE^JANE")


def chatter(name: str) -> str:
    """Quotes the file in each way that a library or a codec has."""
    logging.getLogger("pydicom").warning("quoted %s", name)
    logging.getLogger("a codec").critical("quoted %s", name)
    warnings.warn(f"quoted {name}", stacklevel=1)
    print(name, file=sys.stderr, flush=True)  # noqa: T201
    os.write(1, name.encode())
    return "5 ways"


def loaded_modules() -> list[str]:
    """What a decoder has imported."""
    return sorted(sys.modules)


def process_id() -> int:
    """Of the decoder."""
    return os.getpid()


def note_and_never_return(note: Path) -> None:
    """Write the decoder's process id, and hang."""
    note.write_text(str(os.getpid()))
    never_return()


def nap(seconds: float) -> float:
    """A call that takes its time."""
    time.sleep(seconds)
    return seconds


class DeadlyPath(PosixPath):
    """A file that ends the process that opens it."""

    def open(self, *_args: Any, **_named: Any) -> IO[Any]:  # type: ignore[override]  # noqa: ANN401
        """Never returns."""
        os._exit(17)
