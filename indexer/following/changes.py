"""Follows the archive's log of changes from a cursor that the ledger keeps."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from indexer.following.hints import notice_of
from indexer.ledger import Ledger
from indexer.ports import Change, ChangeLog

logger = logging.getLogger(__name__)

PAGE: Final = 1000
OVERLAP: Final = 200
PAST_THE_END: Final = 2**62


@dataclass(frozen=True, slots=True)
class Polled:
    """What one reading of the log came to.

    Attributes:
        noticed: entries that were new to us.
        lost_track: the log does not continue what was read before (it is read for the first time, was
            cleared, or the archive's database is another one): only a full comparison tells the rest.
    """

    noticed: int
    lost_track: bool


@dataclass(frozen=True, slots=True)
class _Cursor:
    """`last` is the sequence number read so far; `seen` are the entries in the overlap before it."""

    last: int
    seen: frozenset[int] = frozenset()

    def advanced(self, last: int, seen: Iterable[int], overlap: int) -> _Cursor:
        furthest = max(self.last, last)
        return _Cursor(furthest, frozenset(s for s in self.seen.union(seen) if s > furthest - overlap))


class ChangeFollower:
    """Reads the log of one archive.

    Entries may be committed out of order: one with a smaller number can appear after one with a larger
    number was read. The last `overlap` numbers are therefore read again every time.
    """

    def __init__(
        self, log: ChangeLog, ledger: Ledger, *, archive: str, quiet_s: float, overlap: int = OVERLAP
    ) -> None:
        """Follow the log of the archive of this name; a new series is left alone for `quiet_s` seconds."""
        self._log = log
        self._ledger = ledger
        self._archive = archive
        self._quiet_s = quiet_s
        self._overlap = overlap
        self._key = f"changes of {archive}"

    def poll(self, now: datetime) -> Polled:
        """Read what is new.

        The cursor moves after the ledger has the notices: a crash in between repeats them.

        Raises:
            Unavailable: the archive or the ledger does not answer; the next poll goes on from here.
        """
        before = self._recall()
        if before is None:
            return self._start_at_the_end(None)
        noticed, last = 0, max(0, before.last - self._overlap)
        cursor, done = before, False
        while not done:
            page = self._log.changes(last, PAGE)
            noticed += self._note(page.changes, cursor, now)
            moved = cursor.advanced(page.last, (c.sequence for c in page.changes), self._overlap)
            self._remember(moved, cursor)
            done = page.done or page.last <= last
            cursor, last = moved, page.last
        if last < before.last and self._log.changes(before.last, 1).last < before.last:
            return self._start_at_the_end(before)
        return Polled(noticed, lost_track=False)

    def _note(self, changes: Iterable[Change], cursor: _Cursor, now: datetime) -> int:
        fresh = [change for change in changes if change.sequence not in cursor.seen]
        self._ledger.notice(
            (notice_of(c.kind, c.archive_id, self._archive, self._quiet_s) for c in fresh), now
        )
        return len(fresh)

    def _start_at_the_end(self, before: _Cursor | None) -> Polled:
        """The comparison that follows covers all that the log could tell up to here."""
        end = _Cursor(self._log.changes(PAST_THE_END, 1).last)
        if before is not None:
            logger.warning(
                "changes_restarted archive=%s read=%d end=%d", self._archive, before.last, end.last
            )
        self._remember(end, before)
        return Polled(0, lost_track=True)

    def _recall(self) -> _Cursor | None:
        kept = self._ledger.recall(self._key)
        if kept is None:
            return None
        last, *seen = json.loads(kept)
        return _Cursor(last, frozenset(seen))

    def _remember(self, cursor: _Cursor, before: _Cursor | None) -> None:
        if cursor != before:
            self._ledger.remember(self._key, json.dumps([cursor.last, *sorted(cursor.seen)]))
