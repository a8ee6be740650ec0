"""Brings the ledger's schema up to date; the first process migrates and the others wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from indexer.errors import Rejected
from indexer.ledger.database import Database

SCRIPTS: Final = Path(__file__).parent.parent / "migrations"
_ADVISORY_LOCK: Final = 0x43424952  # "CBIR"


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema that a ledger has and the one this program wants; `found` is None where there is none."""

    found: str | None
    wanted: str | None
    is_newer: bool


class NewerSchema(Rejected):
    """The ledger was made by a newer version of this program."""

    reason = "newer_schema"


def migrate(database: Database) -> None:
    """Bring the schema to this code's version, in one transaction under the database's own lock.

    Raises:
        NewerSchema: the ledger is ahead of this code.
        LedgerUnavailable: the database does not answer.
    """
    database.use_write_ahead_log()
    database.write(_upgrade)


def schema_at(database_url: str) -> Schema:
    """Read which schema a ledger has, and change nothing.

    Raises:
        Rejected: the URL cannot be used.
        LedgerUnavailable: the database does not answer.
    """
    database = Database.at(database_url)
    try:
        return database.read(_schema_of)
    finally:
        database.close()


def _schema_of(connection: Connection) -> Schema:
    scripts = ScriptDirectory(str(SCRIPTS))
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    return Schema(found, scripts.get_current_head(), is_newer=found is not None and found not in known)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerSchema(
            f"The ledger's schema {current} is newer than this program, which knows up to "
            f"{scripts.get_current_head()}: upgrade the program, or restore the ledger of its version."
        )
    command.upgrade(config, "head")
