"""Reading the ledger: counts, the lag, rows and studies page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    union,
)

from indexer.errors import Rejected
from indexer.ledger.cursor import checked_limit, from_cursor, to_cursor
from indexer.ledger.schema import MEMORY, SERIES, AnyRow
from indexer.ledger.values import Holders, KnownSeries, Page, SeriesRow, State, StudyRow
from indexer.line_up import DOCUMENTS, REFUSED, Holdings

ROWS: Final = "rows"
STUDIES: Final = "studies"
_OPEN: Final = (State.WAITING, State.LEASED)
_SHOWN: Final = tuple(SERIES.c[name] for name in SeriesRow.__dataclass_fields__)
_KNOWN: Final = tuple(SERIES.c[name] for name in KnownSeries.__dataclass_fields__)


def count_states(connection: Connection, archive: str | None) -> dict[State, int]:
    """How many series, of one archive or all, are in each state; every state is named."""
    wanted = true() if archive is None else SERIES.c.archive == archive
    counted = connection.execute(
        select(SERIES.c.state, func.count().label("number")).where(wanted).group_by(SERIES.c.state)
    )
    return dict.fromkeys(State, 0) | {row.state: row.number for row in counted}


def count_reasons(connection: Connection) -> dict[str, int]:
    """How many series were skipped, failed or wait to be tried again, by reason."""
    counted = connection.execute(
        select(SERIES.c.reason, func.count().label("number"))
        .where(SERIES.c.reason != "")
        .group_by(SERIES.c.reason)
    )
    return {row.reason: row.number for row in counted}


def longest_wait_s(connection: Connection, now: datetime) -> float:
    """For how long the series that waits longest should have been indexed already."""
    waits_s = [0.0]
    for state in (State.WAITING, State.LEASED):
        oldest = select(func.min(SERIES.c.wanted_at)).where(SERIES.c.state == state)
        since: datetime | None = connection.execute(oldest).scalar()
        if since is not None:
            waits_s.append((now - since).total_seconds())
    return max(waits_s)


def page_of_rows(
    connection: Connection, state: State | None, limit: int, cursor: str | None
) -> Page[SeriesRow]:
    """Series in the order of their archive ids."""
    wanted = select(*_SHOWN).order_by(SERIES.c.archive_id).limit(checked_limit(limit) + 1)
    if state is not None:
        wanted = wanted.where(SERIES.c.state == state)
    if cursor is not None:
        wanted = wanted.where(SERIES.c.archive_id > from_cursor(ROWS, cursor, 1)[0])
    found = [_series_row(row) for row in connection.execute(wanted)]
    more = len(found) > limit
    return Page(tuple(found[:limit]), to_cursor(ROWS, found[limit - 1].archive_id) if more else None)


def find_rows(
    connection: Connection, study_instance_uid: str | None, series_instance_uid: str | None
) -> list[SeriesRow]:
    """The series with these UIDs."""
    wanted = select(*_SHOWN).order_by(SERIES.c.archive_id)
    if study_instance_uid is not None:
        wanted = wanted.where(SERIES.c.study_instance_uid == study_instance_uid)
    if series_instance_uid is not None:
        wanted = wanted.where(SERIES.c.series_instance_uid == series_instance_uid)
    return [_series_row(row) for row in connection.execute(wanted)]


def page_of_studies(
    connection: Connection,
    limit: int,
    cursor: str | None,
    modality: Sequence[str],
    body_part_examined: Sequence[str],
) -> Page[StudyRow]:
    """Studies that have searchable series which pass the filters, newest first.

    The series of one study should agree on its date; where they do not, the latest counts. Each state
    is read by itself, in the order of its index, and the first of each are merged.
    """
    limit = checked_limit(limit)
    first = [
        select(_studies_in(state, limit + 1, cursor, modality, body_part_examined).subquery(state.value))
        for state in (State.INDEXED, *_OPEN)
    ]
    merged = union(*first).subquery("merged")
    wanted = select(merged).order_by(merged.c.study_date.desc(), merged.c.study_instance_uid)
    found = connection.execute(wanted.limit(limit + 1)).all()
    more = len(found) > limit
    rows = tuple(_study_rows(connection, found[:limit]))
    return Page(rows, _study_cursor(found[limit - 1]) if more else None)


def _studies_in(
    state: State, limit: int, cursor: str | None, modality: Sequence[str], body_part_examined: Sequence[str]
) -> Select[Any]:
    listed = SERIES.alias("listed")
    wanted = (
        select(listed.c.study_date, listed.c.study_instance_uid)
        .distinct()
        .where(
            listed.c.state == state,
            _passes(listed, modality, body_part_examined),
            not_(_has_later(listed, modality, body_part_examined)),
        )
        .order_by(listed.c.study_date.desc(), listed.c.study_instance_uid)
        .limit(limit)
    )
    return wanted if cursor is None else wanted.where(_after_study(listed, cursor))


def known_after(connection: Connection, archive: str, after: str, limit: int) -> list[KnownSeries]:
    """The next rows of one archive in the order of their ids."""
    return [
        KnownSeries(*row)
        for row in connection.execute(
            select(*_KNOWN)
            .where(SERIES.c.archive == archive, SERIES.c.archive_id > after)
            .order_by(SERIES.c.archive_id)
            .limit(limit)
        )
    ]


def known_among(connection: Connection, archive_ids: Iterable[str]) -> dict[str, KnownSeries]:
    """Those of these series that have a row, by archive id."""
    found = connection.execute(select(*_KNOWN).where(SERIES.c.archive_id.in_(list(archive_ids))))
    return {row.archive_id: KnownSeries(*row) for row in found}


def count_holders(connection: Connection) -> list[Holders]:
    """How many rows share a modality, a state, their encoders and their archive."""
    shared = (SERIES.c.modality, SERIES.c.encoder, SERIES.c.state)
    counted = select(*shared, func.count(), SERIES.c.archive).group_by(*shared, SERIES.c.archive)
    return [Holders(*row) for row in connection.execute(counted)]


def read_labels(connection: Connection) -> dict[str, int]:
    """How many series each encoder has looked at."""
    held = select(SERIES.c.encoder, func.count().label("number")).where(SERIES.c.encoder.is_not(None))
    counted: Counter[str] = Counter()
    for row in connection.execute(held.group_by(SERIES.c.encoder)):
        counted.update(dict.fromkeys(Holdings.of(row.encoder).looked, row.number))
    return dict(counted)


def read_memory(connection: Connection, key: str) -> str | None:
    """What was remembered under this key."""
    value: str | None = connection.execute(select(MEMORY.c.value).where(MEMORY.c.key == key)).scalar()
    return value


def _series_row(row: AnyRow) -> SeriesRow:
    return SeriesRow(**row._mapping)


def _is_searchable(series: FromClause) -> ColumnElement[bool]:
    """Images indexed, or looked at again while their vectors are there: another encoder may be on its way.

    Reports are found by words alone, and are never listed.
    """
    held = and_(series.c.encoder.is_not(None), series.c.encoder != "")
    made = and_(held, not_(series.c.encoder.startswith(REFUSED, autoescape=True)))
    found = or_(series.c.state == State.INDEXED, and_(series.c.state.in_(_OPEN), made))
    return and_(found, series.c.modality.not_in(DOCUMENTS))


def _passes(
    series: FromClause, modality: Sequence[str], body_part_examined: Sequence[str]
) -> ColumnElement[bool]:
    passing = [_is_searchable(series), series.c.study_instance_uid != ""]
    if modality:
        passing.append(series.c.modality.in_(modality))
    if body_part_examined:
        passing.append(series.c.body_part_examined.in_(body_part_examined))
    return and_(*passing)


def _has_later(
    listed: FromClause, modality: Sequence[str], body_part_examined: Sequence[str]
) -> ColumnElement[bool]:
    other = SERIES.alias("other")
    return exists().where(
        other.c.study_instance_uid == listed.c.study_instance_uid,
        other.c.study_date > listed.c.study_date,
        _passes(other, modality, body_part_examined),
    )


def _after_study(listed: FromClause, cursor: str) -> ColumnElement[bool]:
    day, study_instance_uid = from_cursor(STUDIES, cursor, 2)
    try:
        study_date = date.fromisoformat(day) if day else date.min
    except ValueError as error:
        raise Rejected("The cursor is not one that this listing gave: start again without one.") from error
    same_day = and_(listed.c.study_date == study_date, listed.c.study_instance_uid > study_instance_uid)
    return or_(listed.c.study_date < study_date, same_day)


def _study_cursor(row: AnyRow) -> str:
    return to_cursor(STUDIES, row.study_date.isoformat() if row.study_date else "", row.study_instance_uid)


def _study_rows(connection: Connection, found: Sequence[AnyRow]) -> Iterator[StudyRow]:
    """With all searchable series of each study, those that the filters left out as well."""
    order = [row.study_instance_uid for row in found]
    series = connection.execute(
        select(*_SHOWN)
        .where(SERIES.c.study_instance_uid.in_(order), _is_searchable(SERIES))
        .order_by(SERIES.c.study_instance_uid, SERIES.c.archive_id)
    )
    grouped = {
        uid: [_series_row(row) for row in rows]
        for uid, rows in groupby(series, lambda row: row.study_instance_uid)
    }
    for row in found:
        members = grouped[row.study_instance_uid]
        yield StudyRow(
            study_instance_uid=row.study_instance_uid,
            study_date=row.study_date,
            modalities=tuple(sorted({member.modality for member in members} - {""})),
            body_parts=tuple(sorted({member.body_part_examined for member in members} - {""})),
            series=len(members),
            archive_ids=tuple(member.archive_id for member in members),
        )
