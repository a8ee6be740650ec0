from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from cbir_outbox import DELETED, NEW, STABLE, UPDATED, Outbox


def _words(outbox: Outbox) -> list[tuple[str, str]]:
    return [(event.orthanc_id, event.change) for event in outbox.batch(100)]


def test_what_is_recorded_is_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "deep" / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    outbox.record(STABLE, "b")
    again = Outbox(tmp_path / "deep" / "outbox.sqlite", limit=10)
    assert _words(again) == [("a", NEW), ("b", STABLE)]
    assert again.waiting() == 2
    outbox.close()
    again.close()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ((NEW, UPDATED, UPDATED), NEW),
        ((NEW, UPDATED, STABLE), STABLE),
        ((STABLE, UPDATED), UPDATED),
        ((STABLE, DELETED), DELETED),
        ((DELETED, NEW), UPDATED),
        ((DELETED, NEW, UPDATED, DELETED), DELETED),
    ],
)
def test_the_changes_of_a_series_wait_as_one(tmp_path: Path, changes: tuple[str, ...], kept: str) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    for change in changes:
        outbox.record(change, "a")
    assert _words(outbox) == [("a", kept)]
    assert outbox.waiting() == 1
    outbox.close()


def test_a_hint_renewed_while_it_is_delivered_is_delivered_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    under_way = outbox.batch(10)
    outbox.record(STABLE, "a")
    outbox.acknowledge(under_way)
    assert _words(outbox) == [("a", STABLE)]
    outbox.acknowledge(outbox.batch(10))
    assert outbox.waiting() == 0
    assert outbox.batch(10) == []
    outbox.close()


def test_a_sequence_number_is_never_given_twice(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    first = outbox.batch(1)
    outbox.acknowledge(first)
    outbox.close()
    again = Outbox(tmp_path / "outbox.sqlite", limit=10)
    again.record(NEW, "a")
    assert again.batch(1)[0].sequence > first[0].sequence
    again.close()


def test_a_full_outbox_drops_the_oldest_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=3)
    with caplog.at_level(logging.ERROR):
        for name in "abcde":
            outbox.record(NEW, name)
        outbox.record(STABLE, "c")
    assert [name for name, _ in _words(outbox)] == ["d", "e", "c"]
    assert outbox.waiting() == 3
    assert next(record.getMessage() for record in caplog.records).startswith("outbox_full limit=3 dropped=1")
    outbox.close()


def test_a_buried_hint_is_counted_and_no_longer_waits(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    outbox.record(NEW, "b")
    outbox.bury(outbox.batch(1)[0], 422)
    assert _words(outbox) == [("b", NEW)]
    assert (outbox.waiting(), outbox.buried()) == (1, 1)
    outbox.close()


@pytest.mark.parametrize("content", [b"this is no database" * 500, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        outbox = Outbox(path, limit=10)
    outbox.record(NEW, "a")
    assert _words(outbox) == [("a", NEW)]
    aside = [p for p in tmp_path.iterdir() if ".damaged-" in p.name]
    assert [p.read_bytes() for p in aside] == [content]
    assert "outbox_damaged" in caplog.text
    outbox.close()


def test_a_file_damaged_in_use_is_set_aside_and_the_hint_at_hand_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    Outbox(path, limit=100_000).close()
    more_than_sqlite_caches = [(f"{number:044d}", NEW, "now") for number in range(60_000)]
    with sqlite3.connect(path) as filling:
        filling.executemany(
            "INSERT INTO waiting (orthanc_id, change, observed_at) VALUES (?, ?, ?)", more_than_sqlite_caches
        )
    filling.close()
    outbox = Outbox(path, limit=100_000)
    assert outbox.waiting() == 60_000
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    outbox.record(STABLE, "one-more")
    assert _words(outbox) == [("one-more", STABLE)]
    assert outbox.waiting() == 1
    assert any(".damaged-" in p.name for p in tmp_path.iterdir())
    outbox.close()


def test_a_place_that_cannot_be_written_is_an_error_not_damage(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Outbox(tmp_path / "folder.sqlite", limit=10)
    assert (tmp_path / "folder.sqlite").is_dir()


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    assert (tmp_path / "outbox.sqlite").stat().st_mode & 0o077 == 0
    outbox.close()
