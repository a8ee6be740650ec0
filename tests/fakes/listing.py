"""What a folder holds, while others write to it and delete from it."""

from __future__ import annotations

from pathlib import Path


def listed(folder: Path, pattern: str) -> list[Path]:
    """The files that `folder.glob(pattern)` finds; it looks again where a folder vanished under the look."""
    while True:
        try:
            return list(folder.glob(pattern))
        except FileNotFoundError:
            continue
