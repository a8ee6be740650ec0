"""The database under the ledger: connections, transactions, and its errors as ours."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from indexer.errors import LedgerUnavailable, Rejected

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10
POOL_SIZE: Final = 8
CONFLICT_RETRIES: Final = 5
_CONFLICTS: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock detected
_IMMEDIATE: Final = "cbir_immediate"

Answer = TypeVar("Answer")


class Database:
    """An engine whose transactions are short, retried on conflict, and fail with our errors only."""

    def __init__(self, engine: Engine) -> None:
        """Use this engine for reading and, with locks taken at once, for writing."""
        self._engine = engine
        self._writing = engine.execution_options(**{_IMMEDIATE: True})

    @classmethod
    def at(cls, database_url: str) -> Database:
        """Take a SQLAlchemy URL of SQLite or PostgreSQL; nothing is connected yet.

        Raises:
            Rejected: the URL is no URL, of another database, or its driver is not installed.
        """
        url = _parsed(database_url)
        if url.get_backend_name() == "sqlite":
            return cls(_sqlite_engine(url))
        return cls(_postgresql_engine(url))

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` on one consistent view. Raises LedgerUnavailable."""
        return self._run(self._engine, work)

    def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in one write transaction, again when another one was in its way.

        Raises:
            LedgerUnavailable: the database does not answer, or stays locked.
        """
        return self._run(self._writing, work)

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    def use_write_ahead_log(self) -> None:
        """Let SQLite's readers and its writer not wait for each other; kept in the file.

        SQLite does not wait for other connections when it changes this, so we do.

        Raises:
            LedgerUnavailable: the file cannot be opened, or is no database.
        """
        if self.dialect != "sqlite":
            return
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while not self._switched_to_write_ahead_log(patient=time.monotonic() < deadline):
            time.sleep(0.02)

    def _switched_to_write_ahead_log(self, *, patient: bool) -> bool:
        try:
            with self._our_errors(), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            if patient and _is_busy(error):
                return False
            raise self._unavailable(error) from error
        return True

    def _run(self, engine: Engine, work: Callable[[Connection], Answer]) -> Answer:
        for attempt in range(CONFLICT_RETRIES):
            try:
                with self._our_errors(), engine.begin() as connection:
                    return work(connection)
            except LedgerUnavailable as error:
                if attempt == CONFLICT_RETRIES - 1 or not _is_conflict(error.__cause__):
                    raise
                logger.info("ledger_conflict attempt=%d", attempt + 1)
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise self._unavailable(error) from error
        except DBAPIError as error:
            if error.connection_invalidated or type(error.orig) is sqlite3.DatabaseError:
                raise self._unavailable(error) from error
            raise

    def _unavailable(self, error: Exception) -> LedgerUnavailable:
        where = self._engine.url.render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        return LedgerUnavailable(
            f"The ledger's database {where} does not answer ({type(cause).__name__}: "
            f"{str(cause).splitlines()[0] if str(cause) else 'no reason given'}): "
            "check that it runs and that CBIR_DATABASE_URL is right."
        )


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_conflict(error: BaseException | None) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def _parsed(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise Rejected("CBIR_DATABASE_URL is no SQLAlchemy URL; see the table of options.") from error
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise Rejected(f"The ledger is kept in SQLite or PostgreSQL, not in {backend}.")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise Rejected("The ledger is shared by several processes: name a file, sqlite:////path/to/file.")
    return url.set(drivername="postgresql+psycopg") if backend == "postgresql" else url


def _sqlite_engine(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    """Leave transactions to us, and lose nothing that was committed when the power fails."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: a reader that becomes a writer could not wait for one."""
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_size=POOL_SIZE,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise Rejected("PostgreSQL needs its driver: pip install 'pacs-cbir[postgresql]'.") from error
