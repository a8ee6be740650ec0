"""Which cases the askers of the AE flagged as more, or less, alike: kept as long as answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from indexer.ledger.schema import FLAGS, AnyRow


@dataclass(frozen=True, slots=True)
class KeptFlag:
    """A series that a caller flagged for its question about an example.

    `study_instance_uid` is the example's, `series_instance_uid` the flagged one's in the archive.
    """

    caller: str
    study_instance_uid: str
    series_instance_uid: str
    flag: Literal["more", "less"]
    flagged_at: datetime


def write_flags(connection: Connection, flags: Sequence[KeptFlag]) -> None:
    """Keep these, each in place of what the caller said of the same series before."""
    for kept in flags:
        connection.execute(
            delete(FLAGS).where(
                FLAGS.c.caller == kept.caller,
                FLAGS.c.study_instance_uid == kept.study_instance_uid,
                FLAGS.c.series_instance_uid == kept.series_instance_uid,
            )
        )
        connection.execute(
            insert(FLAGS).values(
                caller=kept.caller,
                study_instance_uid=kept.study_instance_uid,
                series_instance_uid=kept.series_instance_uid,
                flag=kept.flag,
                flagged_at=kept.flagged_at,
            )
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
