"""Writing notices: a series is new, or its row goes back to waiting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from indexer.ledger.schema import MEMORY, SERIES
from indexer.ledger.values import Notice, Priority, State
from indexer.line_up import Holdings


def merged(notices: Iterable[Notice]) -> list[Notice]:
    """At most one notice a series, in the order of their ids, which is the order of locking."""
    by_id: dict[str, Notice] = {}
    for notice in notices:
        earlier = by_id.get(notice.archive_id)
        by_id[notice.archive_id] = notice if earlier is None else _both(earlier, notice)
    return [by_id[archive_id] for archive_id in sorted(by_id)]


def write_notices(connection: Connection, notices: list[Notice], now: datetime) -> None:
    """Insert the series that are new and put the others back to waiting.

    A leased row stays leased: its larger generation makes `finish` put it back to waiting.
    """
    insert = _insert(connection, SERIES)
    given = insert.excluded
    untouched = _nothing_is_due()
    sooner: dict[str, Any] = {
        name: case(
            (or_(untouched, given[name] < SERIES.c[name]), given[name]),
            else_=SERIES.c[name],
        )
        for name in ("priority", "wanted_at", "due_at")
    }
    known: dict[str, Any] = {
        name: case((given[name] != "", given[name]), else_=SERIES.c[name])
        for name in ("study_instance_uid", "series_instance_uid", "modality")
    }
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[SERIES.c.archive_id],
            set_={
                **sooner,
                **known,
                "archive": given.archive,
                "state": case((SERIES.c.state == State.LEASED, State.LEASED), else_=State.WAITING),
                "generation": SERIES.c.generation + 1,
                "noticed_revision": func.coalesce(given.noticed_revision, SERIES.c.noticed_revision),
                "attempts": 0,
                "abandoned": 0,
                "reason": "",
                "detail": "",
            },
        ),
        [_new_row(notice, now) for notice in notices],
    )


def retry_failed(connection: Connection, reason: str | None, now: datetime) -> int:
    """Put failed rows back to waiting, as a person asked."""
    failed = SERIES.c.state == State.FAILED
    changed = connection.execute(
        update(SERIES)
        .where(failed if reason is None else and_(failed, SERIES.c.reason == reason))
        .values(
            state=State.WAITING,
            priority=Priority.ASKED,
            generation=SERIES.c.generation + 1,
            wanted_at=now,
            due_at=now,
            attempts=0,
            abandoned=0,
            reason="",
            detail="",
        )
    )
    return changed.rowcount


def write_memory(connection: Connection, key: str, value: str) -> None:
    """Remember one value."""
    insert = _insert(connection, MEMORY).values(key=key, value=value)
    connection.execute(insert.on_conflict_do_update(index_elements=[MEMORY.c.key], set_={"value": value}))


def revise_memory(connection: Connection, key: str, before: str | None, value: str) -> bool:
    """Remember one value if what is remembered is still `before`; None is nothing."""
    if before is None:
        insert = _insert(connection, MEMORY).values(key=key, value=value)
        return connection.execute(insert.on_conflict_do_nothing(index_elements=[MEMORY.c.key])).rowcount == 1
    unchanged = and_(MEMORY.c.key == key, MEMORY.c.value == before)
    return connection.execute(update(MEMORY).where(unchanged).values(value=value)).rowcount == 1


def disown(connection: Connection, label: str) -> int:
    """Let no row say that this encoder looked at it; gives how many did.

    Few different texts stand in that column: the rows of each are rewritten at once.
    """
    texts = connection.execute(select(SERIES.c.encoder).where(SERIES.c.encoder.is_not(None)).distinct())
    changed = 0
    for text in texts.scalars().all():
        held = Holdings.of(text)
        if label in held.looked:
            rewritten = update(SERIES).where(SERIES.c.encoder == text)
            changed += connection.execute(rewritten.values(encoder=str(held.without(label)))).rowcount
    return changed


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that knows what to do when the row is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _both(earlier: Notice, later: Notice) -> Notice:
    return replace(
        later,
        priority=min(earlier.priority, later.priority),
        due_in_s=min(earlier.due_in_s, later.due_in_s),
        reference=later.reference or earlier.reference,
        modality=later.modality or earlier.modality,
        revision=later.revision or earlier.revision,
    )


def _new_row(notice: Notice, now: datetime) -> dict[str, Any]:
    due_at = now + timedelta(seconds=notice.due_in_s)
    return {
        "archive_id": notice.archive_id,
        "archive": notice.archive,
        "study_instance_uid": notice.reference.study_instance_uid if notice.reference else "",
        "series_instance_uid": notice.reference.series_instance_uid if notice.reference else "",
        "modality": notice.modality,
        "study_date": None,
        "state": State.WAITING,
        "priority": int(notice.priority),
        "noticed_revision": notice.revision,
        "wanted_at": due_at,
        "due_at": due_at,
    }


def _nothing_is_due() -> ColumnElement[bool]:
    """The row waits for nothing that the notice could only bring forward.

    It is settled, or leased and not noticed since.
    """
    settled = and_(SERIES.c.state != State.WAITING, SERIES.c.state != State.LEASED)
    unnoticed = and_(SERIES.c.state == State.LEASED, SERIES.c.generation == SERIES.c.lease_generation)
    return or_(settled, unnoticed)
