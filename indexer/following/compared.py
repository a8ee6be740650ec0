"""What one comparison of the archive, the ledger and the vector index saw, and what it found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Comparison:
    """How many series one comparison saw, and what it found.

    Attributes:
        listed: series in the archive.
        unknown: of those, not in the ledger.
        changed: another revision than the one looked at last.
        outdated: not looked at by every encoder that takes them.
        gone: in the ledger and no longer in the archive.
        orphaned: vectors for which no row answers; deleted.
        stale: vectors of other files than those that were looked at last.
        rehashed: vectors whose patient was hashed with another key than the one in use.
        bare: the ledger says that they have vectors, and they have none; those that wait are counted too.
        complete: False when it was stopped half-way.
        took_s: how long it took.
    """

    listed: int = 0
    unknown: int = 0
    changed: int = 0
    outdated: int = 0
    gone: int = 0
    orphaned: int = 0
    stale: int = 0
    rehashed: int = 0
    bare: int = 0
    complete: bool = False
    took_s: float = 0.0

    @property
    def found(self) -> int:
        """How many series were put back to work, or out."""
        settled = self.unknown + self.changed + self.outdated + self.gone
        return settled + self.orphaned + self.stale + self.rehashed + self.bare

    @property
    def lacking(self) -> int:
        """How many series some encoder should hold and does not, or not as they are."""
        return self.outdated + self.stale + self.bare

    def __str__(self) -> str:
        """As `key=value` words for the log."""
        counted = (name for name in self.__dataclass_fields__ if name != "took_s")
        return " ".join(f"{name}={getattr(self, name)}" for name in counted)
