"""Hints that a series may have changed become notices; whether it did is for the worker to find out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from indexer.ledger import Ledger, Notice, Priority
from indexer.ports import ChangeKind


class Hint(Protocol):
    """What the plugin tells of one series; it may tell it twice."""

    @property
    def change(self) -> ChangeKind:
        """What happened, as the plugin understood it."""
        ...

    @property
    def orthanc_id(self) -> str:
        """The series."""
        ...


class Events:
    """Takes the plugin's hints into the ledger."""

    def __init__(self, ledger: Ledger, *, archive: str, quiet_s: float) -> None:
        """Follow the archive of this name; a new series is left alone for `quiet_s` seconds."""
        self._ledger = ledger
        self._archive = archive
        self._quiet_s = quiet_s

    def accept(self, hints: Sequence[Hint], now: datetime | None = None) -> int:
        """Note the hints; the ledger has them when this returns, and having them twice does no harm.

        Returns:
            How many series they are about.

        Raises:
            LedgerUnavailable: nothing is promised, hint again.
        """
        notices = [notice_of(h.change, h.orthanc_id, self._archive, self._quiet_s) for h in hints]
        return self._ledger.notice(notices, now or datetime.now(UTC))


def notice_of(change: ChangeKind, archive_id: str, archive: str, quiet_s: float) -> Notice:
    """A new series still grows: it is looked at when it was quiet; anything else is looked at now."""
    due_in_s = quiet_s if change == "new" else 0.0
    return Notice(archive_id, archive, Priority.CHANGED, due_in_s)
