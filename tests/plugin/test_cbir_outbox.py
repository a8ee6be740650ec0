from __future__ import annotations

import logging
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cbir_outbox import DELETED, NEW, STABLE, UPDATED, Event, Outbox


def _words(outbox: Outbox) -> list[tuple[str, str]]:
    return [(event.orthanc_id, event.change) for event in outbox.batch(100)]


def _damage(path: Path) -> None:
    """Let the tables begin on a page that is not in the file; whoever has it open sees that too."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE type = 'table'")
        database.execute("PRAGMA schema_version = 99")


@contextmanager
def _full_disk() -> Iterator[None]:
    """Files cannot grow: SQLite is refused as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


CALLS: dict[str, Callable[[Outbox, Event], object]] = {
    "record": lambda outbox, _: outbox.record(STABLE, "b"),
    "batch": lambda outbox, _: outbox.batch(1),
    "acknowledge": lambda outbox, event: outbox.acknowledge([event]),
    "bury": lambda outbox, event: outbox.bury(event, 422),
    "buried": lambda outbox, _: outbox.buried(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whatever_finds_the_damage_begins_anew(
    tmp_path: Path, call: Callable[[Outbox, Event], object]
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    under_way = outbox.batch(1)[0]
    _damage(tmp_path / "outbox.sqlite")
    call(outbox, under_way)
    outbox.record(NEW, "later")
    assert ("later", NEW) in _words(outbox)
    assert outbox.waiting() == len(_words(outbox))
    assert len([p for p in tmp_path.iterdir() if ".damaged-" in p.name]) >= 1
    outbox.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_file_that_could_not_be_begun_anew_is_begun_when_the_disk_has_room_again(
    tmp_path: Path, call: Callable[[Outbox, Event], object]
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    under_way = outbox.batch(1)[0]
    _damage(tmp_path / "outbox.sqlite")
    with _full_disk():
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                outbox.record(NEW, "lost")
    assert outbox.waiting() == 0
    call(outbox, under_way)
    outbox.record(NEW, "later")
    assert ("later", NEW) in _words(outbox)
    assert outbox.waiting() == len(_words(outbox))
    outbox.close()


def test_what_was_under_way_when_the_file_was_begun_anew_takes_no_new_hint_with_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.record(NEW, "a")
    under_way = outbox.batch(10)
    _damage(tmp_path / "outbox.sqlite")
    outbox.record(NEW, "b")
    assert outbox.batch(1)[0].sequence == under_way[0].sequence
    outbox.acknowledge(under_way)
    assert _words(outbox) == [("b", NEW)]
    assert outbox.waiting() == 1
    outbox.close()


def test_an_outbox_that_was_closed_stays_closed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    outbox.close()
    outbox.close()
    with pytest.raises(sqlite3.ProgrammingError):
        outbox.record(NEW, "a")


def test_of_the_buried_hints_the_oldest_are_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10, dead_limit=3)
    for name in "abcde":
        outbox.record(NEW, name)
    with caplog.at_level(logging.ERROR):
        for event in outbox.batch(10):
            outbox.bury(event, 422)
    assert (outbox.waiting(), outbox.buried()) == (0, 3)
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as database:
        kept = [name for (name,) in database.execute("SELECT orthanc_id FROM dead ORDER BY sequence")]
    assert kept == ["c", "d", "e"]
    assert caplog.records[-1].getMessage() == "event_buried orthanc_id=e status=422 buried=3 dropped=2"


def test_a_place_that_cannot_be_written_is_an_error_not_damage(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Outbox(tmp_path / "folder.sqlite", limit=10)
    assert (tmp_path / "folder.sqlite").is_dir()


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", limit=10)
    assert (tmp_path / "outbox.sqlite").stat().st_mode & 0o077 == 0
    outbox.close()
