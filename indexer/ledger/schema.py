"""The ledger's tables, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    TypeDecorator,
)

from indexer.ledger.values import State


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite, which knows no zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone: nobody knows when it is."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give the ledger aware times.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StudyDate(TypeDecorator[date]):
    """(0008,0020). An unknown date is kept as year 1, so that it sorts the same in every database."""

    impl = Date()
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> date:
        """None becomes year 1."""
        return date.min if value is None else value

    def process_result_value(self, value: date | None, dialect: Dialect) -> date | None:
        """Year 1 becomes None."""
        return None if value == date.min else value


class StateName(TypeDecorator[State]):
    """A state, kept as its word."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: State | None, dialect: Dialect) -> str | None:
        """The word."""
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> State | None:
        """The state."""
        return None if value is None else State(value)


KEY = Text().with_variant(Text(collation="C"), "postgresql")
"""A text that is paged by: ordered by its bytes, whatever language the database server speaks."""

AnyRow = Row[*tuple[Any, ...]]

METADATA = MetaData()

SERIES = Table(
    "series",
    METADATA,
    Column("archive_id", KEY, primary_key=True),
    Column("archive", KEY, nullable=False),
    Column("study_instance_uid", KEY, nullable=False, default=""),
    Column("series_instance_uid", KEY, nullable=False, default=""),
    Column("modality", Text, nullable=False, default=""),
    Column("body_part_examined", Text, nullable=False, default=""),
    Column("study_date", StudyDate, nullable=False),
    Column("state", StateName, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("priority", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False, default=1),
    Column("noticed_revision", Text),
    Column("wanted_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("abandoned", Integer, nullable=False, default=0),
    Column("lease_token", BigInteger),
    Column("lease_generation", BigInteger, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("revision", Text),
    Column("fingerprint", Text),
    Column("encoder", Text),
    CheckConstraint("state IN ('waiting', 'leased', 'indexed', 'skipped', 'failed')", name="series_state"),
    CheckConstraint(
        "(state = 'leased') = (lease_owner IS NOT NULL AND lease_until IS NOT NULL)", name="series_lease"
    ),
)
Index("series_by_urgency", SERIES.c.state, SERIES.c.priority, SERIES.c.due_at)
Index("series_by_lease", SERIES.c.state, SERIES.c.lease_until)
Index("series_by_age", SERIES.c.state, SERIES.c.wanted_at)
Index("series_by_reason", SERIES.c.reason)
Index("series_by_archive", SERIES.c.archive, SERIES.c.archive_id)
Index("series_by_state", SERIES.c.state, SERIES.c.archive_id)
Index("series_by_study", SERIES.c.study_instance_uid)
Index("series_by_series", SERIES.c.series_instance_uid)
Index("series_by_study_date", SERIES.c.state, SERIES.c.study_date.desc(), SERIES.c.study_instance_uid)

MEMORY = Table(
    "memory",
    METADATA,
    Column("key", KEY, primary_key=True),
    Column("value", Text, nullable=False),
)

BACKGROUNDS = Table(
    "backgrounds",
    METADATA,
    Column("encoder", KEY, primary_key=True),
    Column("modality", KEY, primary_key=True),
    Column("body_part_examined", KEY, primary_key=True),
    Column("pairs", Integer, nullable=False),
    Column("series", Integer, nullable=False),
    Column("quantiles", Text, nullable=False),
    Column("nearest", Text, nullable=False),
    Column("made_at", UtcTime, nullable=False),
)

ANSWERS = Table(
    "answers",
    METADATA,
    Column("question_id", KEY, primary_key=True),
    Column("caller", KEY, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("study_instance_uid", KEY, nullable=False),
    Column("answer", Text, nullable=False),
)
Index("answers_by_caller", ANSWERS.c.caller, ANSWERS.c.asked_at)

FLAGS = Table(
    "flags",
    METADATA,
    Column("caller", KEY, primary_key=True),
    Column("study_instance_uid", KEY, primary_key=True),
    Column("series_instance_uid", KEY, primary_key=True),
    Column("flag", Text, nullable=False),
    Column("flagged_at", UtcTime, nullable=False),
    CheckConstraint("flag IN ('more', 'less', 'none')", name="flags_flag"),
)
Index("flags_by_age", FLAGS.c.flagged_at)
