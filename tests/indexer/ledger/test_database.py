"""Opening a ledger: migrations, several processes at once, and databases that cannot be had."""

from __future__ import annotations

import multiprocessing
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.errors import LedgerUnavailable, Rejected
from indexer.ledger import Indexed, Ledger, NewerSchema, Notice, Priority
from indexer.ledger.database import Database
from indexer.ledger.schema import METADATA
from tests.postgresql import Cluster

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def open_and_notice(database_url: str, archive_id: str) -> None:
    with Ledger.open(database_url) as ledger:
        ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)


def psycopg_url(database_url: str) -> str:
    return database_url.replace("postgresql://", "postgresql+psycopg://")


def test_the_migrated_schema_is_the_one_the_code_uses(database_url: str) -> None:
    Ledger.open(database_url).close()
    engine = create_engine(psycopg_url(database_url))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
        indexes = {index["name"] for index in inspect(connection).get_indexes("series")}
    engine.dispose()
    # SQLite cannot tell a descending index: compared by name instead.
    assert [d for d in differences if "series_by_study_date" not in str(d)] == []
    assert indexes == {index.name for index in METADATA.tables["series"].indexes}


def test_processes_that_open_a_new_ledger_at_once_all_succeed(database_url: str) -> None:
    ids = [f"series-{number}" for number in range(24)]
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        pool.starmap(open_and_notice, [(database_url, archive_id) for archive_id in ids], chunksize=1)
    with Ledger.open(database_url) as ledger:
        assert {row.archive_id for row in ledger.rows().rows} == set(ids)


def test_a_ledger_keeps_what_it_was_told_when_it_is_opened_again(database_url: str) -> None:
    open_and_notice(database_url, "a")
    with Ledger.open(database_url) as ledger:
        assert [row.archive_id for row in ledger.rows().rows] == ["a"]


def test_a_ledger_of_a_newer_version_is_refused_with_advice(database_url: str) -> None:
    Ledger.open(database_url).close()
    engine = create_engine(psycopg_url(database_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(NewerSchema, match=r"9999 is newer.*upgrade the program"):
        Ledger.open(database_url)


def test_sqlite_is_written_ahead_and_its_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "made" / "ledger.sqlite"
    Ledger.open(f"sqlite:///{file}").close()
    assert file.parent.stat().st_mode & 0o077 == 0
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_every_connection_to_sqlite_checks_foreign_keys_and_loses_nothing(tmp_path: Path) -> None:
    database = Database.at(f"sqlite:///{tmp_path}/ledger.sqlite")
    settings = database.read(
        lambda c: [c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("foreign_keys", "synchronous")]
    )
    database.close()
    assert settings == [1, 2]


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("These are not the rows you are looking for. " * 50)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="unable to open database file"):
        Ledger.open(f"sqlite:///{tmp_path}")


def test_an_unreachable_server_is_unavailable_and_its_password_stays_secret(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="CBIR_DATABASE_URL") as raised:
        Ledger.open(f"postgresql://someone:secret@/ledger?host={tmp_path}")
    assert "secret" not in str(raised.value)


def test_a_server_that_goes_away_makes_every_call_unavailable_and_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger.open(f"sqlite:///{file}")
    ledger.close()
    hidden = file.rename(tmp_path / "hidden")
    file.mkdir()
    with pytest.raises(LedgerUnavailable):
        ledger.counts()
    file.rmdir()
    hidden.rename(file)
    ledger.remember("back", "again")
    assert ledger.recall("back") == "again"
    ledger.close()


def test_connections_that_the_server_has_cut_are_replaced(postgresql: Cluster) -> None:
    with Ledger.open(postgresql.database_url()) as ledger:
        ledger.remember("before", "kept")
        with postgresql.connect() as administrator:
            cut = administrator.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        assert cut is not None
        assert cut[0] >= 1
        assert ledger.recall("before") == "kept"


@pytest.mark.parametrize(
    "database_url", ["", "ledger", "mysql://host/ledger", "sqlite://", "sqlite:///:memory:", "://"]
)
def test_a_url_that_cannot_be_a_ledger_is_rejected(database_url: str) -> None:
    with pytest.raises(Rejected):
        Ledger.open(database_url)


def test_no_patient_is_kept_not_even_a_pseudonym(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{file}") as ledger:
        ledger.notice([Notice("a", "orthanc", Priority.CHANGED)], NOW)
        (lease,) = ledger.lease("me", 1, 60.0, NOW)
        attributes = SeriesAttributes("CT", "HEAD", NOW.date(), patient="pseudonym-of-a-patient")
        outcome = Indexed(SeriesReference("1", "1.1", "a"), attributes, "r", "f", "e")
        assert ledger.finish(lease, "me", outcome, NOW)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"pseudonym-of-a-patient" not in kept
