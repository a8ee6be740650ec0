"""How instances are brought to another application entity."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from indexer.destinations import Destination
from indexer.ports.library import Coding


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of instances that were sent: how many arrived, and the UIDs of those that did not."""

    arrived: int
    failed: tuple[str, ...] = ()


class Carriage(Protocol):
    """An open way to a destination."""

    taken: frozenset[Coding]
    """What the destination takes."""

    def store(self, path: Path) -> bool:
        """Send one DICOM file; whether it arrived.

        Raises Unavailable once the way is broken: nothing more arrives on it.
        """
        ...


class Carrier(Protocol):
    """Brings instances to other application entities."""

    def open(self, destination: Destination, codings: Collection[Coding]) -> AbstractContextManager[Carriage]:
        """Ask a destination to take instances of these codings.

        Raises Unavailable when it cannot be reached, or takes none of them.
        """
        ...
