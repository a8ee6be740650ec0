# SPDX-License-Identifier: AGPL-3.0-or-later
"""A durable spool of "look at this series again", one row a series."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

logger = logging.getLogger(__name__)

NEW = "new"
STABLE = "stable"
UPDATED = "updated"
DELETED = "deleted"

BUSY_TIMEOUT_S = 2.0
DROPS_PER_LOG_LINE = 10_000
DEAD_LIMIT = 1_000
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    orthanc_id TEXT NOT NULL UNIQUE,
    change TEXT NOT NULL,
    observed_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dead (
    sequence INTEGER PRIMARY KEY,
    orthanc_id TEXT NOT NULL,
    change TEXT NOT NULL,
    observed_at TEXT NOT NULL,
    status INTEGER NOT NULL
);
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """A hint about one series; a later hint about the same series takes its place."""

    sequence: int
    change: str
    orthanc_id: str
    observed_at: str

    def as_json(self) -> dict[str, object]:
        """As the indexer reads it."""
        return asdict(self)


class Outbox:
    """The spool, a SQLite file.

    Write-ahead log with synchronous=NORMAL: what was recorded survives the death of Orthanc. The last
    moments before a power failure may be lost, and the indexer's comparison with the archive finds
    them; in exchange, no change of the archive waits for the disk. A file found damaged is set aside; one
    that cannot be begun anew (the disk is full) is tried again at the next call.
    """

    def __init__(self, path: Path, limit: int, dead_limit: int = DEAD_LIMIT) -> None:
        """Open, or create; a damaged file is set aside and a new one begun.

        Args:
            path: the file; its folder must exist or be creatable.
            limit: most series waiting; beyond it the oldest are dropped and left to the comparison.
            dead_limit: most refused hints kept for a person to look at; beyond it the oldest are dropped.

        Raises:
            OSError: the folder cannot be made.
            sqlite3.Error: the file cannot be opened or written.
        """
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._dead_limit = dead_limit
        self._dropped = 0
        self._dead_dropped = 0
        self._waiting = 0
        self._closed = False
        self._database: sqlite3.Connection | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._open()

    def record(self, change: str, orthanc_id: str) -> None:
        """Keep a hint. Raises sqlite3.Error or OSError where the disk refuses, as all that follow."""
        observed_at = datetime.now(UTC).isoformat()
        self._do(lambda database: self._insert(database, change, orthanc_id, observed_at))

    def batch(self, limit: int) -> list[Event]:
        """The oldest hints; they stay until acknowledged."""
        query = "SELECT sequence, change, orthanc_id, observed_at FROM waiting ORDER BY sequence LIMIT ?"
        return self._do(lambda database: [Event(*row) for row in database.execute(query, (limit,))])

    def acknowledge(self, events: Iterable[Event]) -> None:
        """Forget delivered hints; one renewed meanwhile has a new sequence and stays."""
        delivered = list(events)
        self._do(lambda database: self._remove(database, delivered))

    def bury(self, event: Event, status: int) -> None:
        """Set a hint aside that the indexer will never take."""
        buried = self._do(lambda database: self._bury(database, event, status))
        logger.error(
            "event_buried orthanc_id=%s status=%d buried=%d dropped=%d",
            event.orthanc_id,
            status,
            buried,
            self._dead_dropped,
        )

    def waiting(self) -> int:
        """How many series wait."""
        with self._lock:
            return self._waiting

    def buried(self) -> int:
        """How many of the hints that were refused for good are kept."""
        return self._do(_buried)

    def close(self) -> None:
        """Close the file for good; what waits is delivered after the next start."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work on the file; where it proves damaged, once more on a new one."""
        with self._lock:
            try:
                return work(self._connected())
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._let_go()
                self._set_aside(error)
                return work(self._connected())

    def _remove(self, database: sqlite3.Connection, events: list[Event]) -> None:
        with database:
            removed = _delete(database, events)
        self._waiting -= removed

    def _bury(self, database: sqlite3.Connection, event: Event, status: int) -> int:
        with database:
            database.execute(
                "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?)",
                (event.sequence, event.orthanc_id, event.change, event.observed_at, status),
            )
            dropped = database.execute(
                "DELETE FROM dead WHERE sequence NOT IN "
                "(SELECT sequence FROM dead ORDER BY sequence DESC LIMIT ?)",
                (self._dead_limit,),
            ).rowcount
            removed = _delete(database, [event])
        self._waiting -= removed
        self._dead_dropped += dropped
        return _buried(database)

    def _insert(self, database: sqlite3.Connection, change: str, orthanc_id: str, observed_at: str) -> None:
        with database:
            found = database.execute(
                "SELECT change FROM waiting WHERE orthanc_id = ?", (orthanc_id,)
            ).fetchone()
            kept = _merged(found[0] if found else None, change)
            database.execute(
                "INSERT OR REPLACE INTO waiting (orthanc_id, change, observed_at) VALUES (?, ?, ?)",
                (orthanc_id, kept, observed_at),
            )
            surplus = 0
            if found is None and self._waiting >= self._limit:
                surplus = self._waiting + 1 - self._limit
                database.execute(
                    "DELETE FROM waiting WHERE sequence IN "
                    "(SELECT sequence FROM waiting ORDER BY sequence LIMIT ?)",
                    (surplus,),
                )
        self._waiting += (found is None) - surplus
        if surplus:
            self._count_drops(surplus)

    def _count_drops(self, surplus: int) -> None:
        before, self._dropped = self._dropped, self._dropped + surplus
        if before == 0 or before // DROPS_PER_LOG_LINE != self._dropped // DROPS_PER_LOG_LINE:
            logger.error(
                "outbox_full limit=%d dropped=%d advice=the_indexer_finds_them_when_it_next_compares",
                self._limit,
                self._dropped,
            )

    def _connected(self) -> sqlite3.Connection:
        """The open file, opened again where an earlier attempt failed."""
        if self._closed:
            raise sqlite3.ProgrammingError("The outbox is closed.")
        if self._database is None:
            self._open()
        if self._database is None:
            raise sqlite3.OperationalError("The outbox cannot be opened.")
        return self._database

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._set_aside(error)

    def _connect(self) -> None:
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            _check(database)
            database.executescript(_SCHEMA)
            self._waiting = int(database.execute("SELECT count(*) FROM waiting").fetchone()[0])
        except (sqlite3.Error, OSError):
            database.close()
            raise
        self._database = database

    def _set_aside(self, error: sqlite3.Error) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.rename(self._path.with_name(f"{self._path.name}.damaged-{stamp}{suffix}"))
        self._waiting = 0
        logger.error("outbox_damaged error=%s set_aside=%s.damaged-%s", error, self._path.name, stamp)
        self._connect()


def _merged(waiting: str | None, change: str) -> str:
    """One word for two changes: gone and back is an overwriting; what grows while new stays new."""
    if waiting == DELETED and change != DELETED:
        return UPDATED
    if waiting == NEW and change == UPDATED:
        return NEW
    return change


def _delete(database: sqlite3.Connection, events: list[Event]) -> int:
    """How many were deleted. A file begun anew counts from one, so the sequence alone says too little."""
    rows = [(event.sequence, event.orthanc_id, event.observed_at) for event in events]
    return database.executemany(
        "DELETE FROM waiting WHERE sequence = ? AND orthanc_id = ? AND observed_at = ?", rows
    ).rowcount


def _buried(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM dead").fetchone()[0])


def _check(database: sqlite3.Connection) -> None:
    verdict = database.execute("PRAGMA quick_check").fetchone()[0]
    if verdict != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
