"""Whether this machine has room for what is about to be measured."""

from __future__ import annotations

import shutil
from pathlib import Path

from indexer.errors import Rejected

GIB = 2**30
SPARE_BYTES = GIB


def refuse_without_room(folder: Path, *, disk_bytes: int, memory_bytes: int) -> None:
    """Refuse before anything is written.

    Args:
        folder: where the temporary files will be.
        disk_bytes: what they will take at most.
        memory_bytes: what this process and its engine will take at most.

    Raises:
        Rejected: there is less, with 1 GiB to spare; its text says how to ask for less.
    """
    free = shutil.disk_usage(folder).free
    if free < disk_bytes + SPARE_BYTES:
        raise Rejected(
            f"This bench needs {_gib(disk_bytes)} and 1 GiB to spare in {folder}, where {_gib(free)} are "
            "free: set TMPDIR to a larger disk, or ask for fewer --vectors or --series.",
            reason="too_little_disk",
        )
    available = available_memory_bytes()
    if available is not None and available < memory_bytes + SPARE_BYTES:
        raise Rejected(
            f"This bench needs {_gib(memory_bytes)} and 1 GiB to spare of memory, of which "
            f"{_gib(available)} are available: ask for fewer --vectors, or --frames 1.",
            reason="too_little_memory",
        )


def available_memory_bytes() -> int | None:
    """What the kernel thinks it could give without swapping; None where it does not say (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"
