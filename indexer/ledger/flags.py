"""Which cases the askers of the AE flagged as more, or less, alike: kept as long as answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from indexer.ledger.schema import FLAGS, AnyRow

SAID_AGAIN: Final = timedelta(minutes=10)
"""An archive that forwards a study with its key objects says the same again, each time it changes."""


@dataclass(frozen=True, slots=True)
class KeptFlag:
    """A series that a caller flagged for its question about an example.

    `study_instance_uid` is the example's, `series_instance_uid` the flagged one's in the archive. `flag` is
    "none" of one that was taken back.
    """

    caller: str
    study_instance_uid: str
    series_instance_uid: str
    flag: Literal["more", "less", "none"]
    flagged_at: datetime


def write_flags(connection: Connection, flags: Sequence[KeptFlag]) -> None:
    """Keep these, each in place of what the caller said of the same series before, in whatever order.

    What is said again within `SAID_AGAIN` keeps its time.
    """
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insert = kind(FLAGS)
    given = {name: insert.excluded[name] for name in ("flag", "flagged_at")}
    whose = [FLAGS.c.caller, FLAGS.c.study_instance_uid, FLAGS.c.series_instance_uid]
    for kept in sorted(flags, key=lambda one: (one.study_instance_uid, one.series_instance_uid)):
        is_later = FLAGS.c.flagged_at <= kept.flagged_at
        is_new = or_(FLAGS.c.flag != kept.flag, FLAGS.c.flagged_at < kept.flagged_at - SAID_AGAIN)
        where = and_(is_later, is_new)
        connection.execute(
            insert.values(asdict(kept)).on_conflict_do_update(index_elements=whose, set_=given, where=where)
        )


def read_flags(
    connection: Connection, caller: str, study_instance_uid: str, since: datetime, limit: int
) -> list[KeptFlag]:
    """What one caller flagged since then for its question about a study, the newest first."""
    rows = connection.execute(
        select(FLAGS)
        .where(
            FLAGS.c.caller == caller,
            FLAGS.c.study_instance_uid == study_instance_uid,
            FLAGS.c.flagged_at >= since,
        )
        .order_by(FLAGS.c.flagged_at.desc(), FLAGS.c.series_instance_uid)
        .limit(limit)
    )
    return [_from_row(row) for row in rows]


def delete_flags(connection: Connection, before: datetime) -> int:
    """Forget what was flagged before then; gives their count."""
    return connection.execute(delete(FLAGS).where(FLAGS.c.flagged_at < before)).rowcount


def _from_row(row: AnyRow) -> KeptFlag:
    return KeptFlag(row.caller, row.study_instance_uid, row.series_instance_uid, row.flag, row.flagged_at)
