"""Leases: who works on which series, and what becomes of the row afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, delete, select, true, update

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.ledger.schema import SERIES, AnyRow
from indexer.ledger.values import Failed, Gone, Indexed, Lease, Outcome, Skipped, State, TryAgain

FIRST_DELAY_S: Final = 2.0
LONGEST_DELAY_S: Final = 600.0
LONGEST_DETAIL: Final = 500
_FREE: Final[dict[str, Any]] = {"lease_owner": None, "lease_token": None, "lease_until": None}


def retry_delay_s(attempts: int, jitter: float) -> float:
    """How long to wait after this many attempts: doubling from 2 s to 10 min.

    Args:
        attempts: from 1.
        jitter: in [0, 1); spreads the delay over its upper half, so that not all come back at once.
    """
    longest = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempts - 1, 30))
    return longest * (0.5 + 0.5 * jitter)


def take_leases(
    connection: Connection, archive: str | None, owner: str, limit: int, until: datetime, now: datetime
) -> list[Lease]:
    """Lease what is due, the most urgent first; a row whose lease has expired is due."""
    own = true() if archive is None else SERIES.c.archive == archive
    waiting = and_(own, SERIES.c.state == State.WAITING, SERIES.c.due_at <= now)
    expired = and_(own, SERIES.c.state == State.LEASED, SERIES.c.lease_until <= now)
    due = [*_locked(connection, waiting, limit), *_locked(connection, expired, limit)]
    due.sort(key=lambda row: (row.priority, row.due_at, row.archive_id))
    order = [row.archive_id for row in due[:limit]]
    taken = connection.execute(
        update(SERIES)
        .where(SERIES.c.archive_id.in_(order))
        .values(
            state=State.LEASED,
            attempts=SERIES.c.attempts + 1,
            abandoned=case(
                (SERIES.c.state == State.LEASED, SERIES.c.abandoned + 1), else_=SERIES.c.abandoned
            ),
            lease_owner=owner,
            lease_until=until,
            lease_token=secrets.randbits(63),
            lease_generation=SERIES.c.generation,
        )
        .returning(SERIES)
    )
    leases = {row.archive_id: _lease(row) for row in taken}
    return [leases[archive_id] for archive_id in order]


def extend_leases(
    connection: Connection, leases: Iterable[Lease], owner: str, until: datetime
) -> list[Lease]:
    """Keep the leases that are still this owner's; the others are left out."""
    kept = []
    for lease in sorted(leases, key=lambda lease: lease.archive_id):
        held = update(SERIES).where(_is_held(lease, owner)).values(lease_until=until)
        if connection.execute(held).rowcount:
            kept.append(lease)
    return kept


def finish_lease(
    connection: Connection, lease: Lease, owner: str, outcome: Outcome, now: datetime, jitter: float
) -> bool:
    """Settle the row, unless the lease was lost; noticed meanwhile, it waits again."""
    row = connection.execute(
        select(SERIES.c.generation, SERIES.c.noticed_revision, SERIES.c.revision)
        .where(_is_held(lease, owner))
        .with_for_update()
    ).first()
    if row is None:
        return False
    this = SERIES.c.archive_id == lease.archive_id
    noticed = row.generation != lease.generation
    if isinstance(outcome, Gone) and not noticed:
        connection.execute(delete(SERIES).where(this))
        return True
    if noticed:
        settled = {"state": State.WAITING, "reason": "", "detail": ""}
    else:
        settled = _settled(lease, outcome, row, now, jitter)
    connection.execute(
        update(SERIES).where(this).values(**_learned(outcome), **settled, **_FREE, abandoned=0)
    )
    return True


def _locked(connection: Connection, wanted: ColumnElement[bool], limit: int) -> Sequence[AnyRow]:
    return connection.execute(
        select(SERIES.c.archive_id, SERIES.c.priority, SERIES.c.due_at)
        .where(wanted)
        .order_by(SERIES.c.priority, SERIES.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def _lease(row: AnyRow) -> Lease:
    return Lease(
        archive_id=row.archive_id,
        generation=row.generation,
        attempts=row.attempts,
        abandoned=row.abandoned,
        fingerprint=row.fingerprint,
        encoder=row.encoder,
        token=row.lease_token,
    )


def _is_held(lease: Lease, owner: str) -> ColumnElement[bool]:
    return and_(
        SERIES.c.archive_id == lease.archive_id,
        SERIES.c.state == State.LEASED,
        SERIES.c.lease_owner == owner,
        SERIES.c.lease_token == lease.token,
    )


def _learned(outcome: Outcome) -> dict[str, Any]:
    """What is now known of the series, however soon it is looked at again."""
    match outcome:
        case Indexed() | Skipped():
            return {
                **_named(outcome.reference),
                **_described(outcome.attributes),
                "revision": outcome.revision,
                "fingerprint": outcome.fingerprint,
                "encoder": outcome.encoder,
            }
        case Gone():
            return {"revision": None, "fingerprint": None, "encoder": None}
        case Failed():
            return {
                **_named(outcome.reference),
                **({"modality": outcome.modality} if outcome.modality else {}),
                **({"encoder": None} if outcome.forgotten else {}),
            }
        case TryAgain():
            return {}


def _named(reference: SeriesReference | None) -> dict[str, Any]:
    if reference is None:
        return {}
    return {
        "study_instance_uid": reference.study_instance_uid,
        "series_instance_uid": reference.series_instance_uid,
    }


def _described(attributes: SeriesAttributes | None) -> dict[str, Any]:
    """The patient's pseudonym stays in the vector index, where questions need it."""
    if attributes is None:
        return {}
    return {
        "modality": attributes.modality,
        "body_part_examined": attributes.body_part_examined,
        "study_date": attributes.study_date,
    }


def _settled(lease: Lease, outcome: Outcome, row: AnyRow, now: datetime, jitter: float) -> dict[str, Any]:
    match outcome:
        case Indexed():
            return _ended(State.INDEXED, "", outcome.detail)
        case Skipped():
            return _ended(State.SKIPPED, outcome.reason, outcome.detail)
        case TryAgain() if outcome.max_attempts is None or lease.attempts < outcome.max_attempts:
            due_at = now + timedelta(seconds=retry_delay_s(lease.attempts, jitter))
            return {**_ended(State.WAITING, outcome.reason, outcome.detail), "due_at": due_at}
        case Failed() | TryAgain():
            failed = _ended(State.FAILED, outcome.reason, outcome.detail)
            return {**failed, "revision": _revision_of(outcome) or row.noticed_revision or row.revision}
        case Gone():
            raise AssertionError("a row that is gone is deleted")


def _revision_of(outcome: Failed | TryAgain) -> str | None:
    return outcome.revision if isinstance(outcome, Failed) else None


def _ended(state: State, reason: str, detail: str) -> dict[str, Any]:
    return {"state": state, "reason": reason, "detail": detail.replace("\0", "")[:LONGEST_DETAIL]}
