"""The ledger: one row a series, from the first notice to the outcome, shared by every process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Final

from sqlalchemy import Connection

from indexer.ledger import answers, flags, leasing, listing, noticing
from indexer.ledger.answers import KeptAnswer
from indexer.ledger.backgrounds import (
    Background,
    Group,
    count_groups,
    drop_backgrounds,
    read_backgrounds,
    write_backgrounds,
)
from indexer.ledger.database import Database
from indexer.ledger.flags import KeptFlag
from indexer.ledger.migration import migrate
from indexer.ledger.values import (
    Holders,
    KnownSeries,
    Lease,
    Notice,
    Outcome,
    Page,
    SeriesRow,
    State,
    StudyRow,
)

CHUNK: Final = 500
KNOWN_CHUNK: Final = 5000


class Ledger:
    """The state of every series, in SQLite or PostgreSQL.

    Threads and processes share it: every method is one short transaction (a few for many notices),
    and every one raises LedgerUnavailable when the database does not answer. Times are aware.
    """

    def __init__(self, database: Database, jitter: Callable[[], float] = random.random) -> None:
        """Use a database whose schema is up to date; `jitter` in [0, 1) spreads retries. See `open`."""
        self._database = database
        self._jitter = jitter

    @classmethod
    def open(cls, database_url: str, jitter: Callable[[], float] = random.random) -> Ledger:
        """Open the ledger at a SQLAlchemy URL and bring its schema up to date.

        Several processes may open it at once; one migrates, the others wait.

        Raises:
            Rejected: the URL cannot be used, or the ledger is newer than this program.
            LedgerUnavailable: the database does not answer.
        """
        database = Database.at(database_url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database, jitter)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()

    # Noticing and working

    def notice(self, notices: Iterable[Notice], now: datetime) -> int:
        """Let these series be looked at (again), at the earliest time and the highest urgency asked.

        A settled series waits again. A leased one stays leased and waits again when it is finished.
        Attempts count anew.

        Returns:
            How many series that were.
        """
        merged = noticing.merged(notices)
        for start in range(0, len(merged), CHUNK):
            chunk = merged[start : start + CHUNK]
            self._database.write(partial(noticing.write_notices, notices=chunk, now=now))
        return len(merged)

    def retry(self, reason: str | None = None, now: datetime | None = None) -> int:
        """Let failed series wait again, those of one reason or all; gives their count."""
        when = datetime.now(UTC) if now is None else now
        return self._database.write(lambda c: noticing.retry_failed(c, reason, when))

    def lease(
        self, owner: str, limit: int, lease_s: float, now: datetime, *, archive: str | None = None
    ) -> list[Lease]:
        """Take up to `limit` due series for `lease_s` seconds, the most urgent and longest due first.

        With `archive`, only those of the archive of this name: a worker takes what it can look at.
        A series whose lease has expired is due again, and that lease counts as an attempt: a series
        that kills its workers shows in `Lease.attempts`.
        """
        until = now + timedelta(seconds=lease_s)
        return self._database.write(lambda c: leasing.take_leases(c, archive, owner, limit, until, now))

    def extend(self, leases: Iterable[Lease], owner: str, lease_s: float, now: datetime) -> list[Lease]:
        """Keep leases for `lease_s` seconds from now; gives those that were not lost."""
        held, until = list(leases), now + timedelta(seconds=lease_s)
        return self._database.write(lambda c: leasing.extend_leases(c, held, owner, until))

    def finish(self, lease: Lease, owner: str, outcome: Outcome, now: datetime) -> bool:
        """Settle a series after its vectors are stored or deleted, and end the lease.

        Noticed since it was leased, it waits again whatever the outcome.

        Returns:
            False when the lease was lost: it expired and somebody else took the series.
        """
        jitter = self._jitter()
        return self._database.write(lambda c: leasing.finish_lease(c, lease, owner, outcome, now, jitter))

    # Reading

    def counts(self, archive: str | None = None) -> dict[State, int]:
        """How many series, of one archive or all, are in each state; every state is named."""
        return self._database.read(lambda c: listing.count_states(c, archive))

    def reasons(self) -> dict[str, int]:
        """How many series were skipped, failed or wait to be tried again, by reason."""
        return self._database.read(listing.count_reasons)

    def lag_s(self, now: datetime) -> float:
        """For how long the series that waits longest should have been indexed already; 0 when none."""
        return self._database.read(lambda c: listing.longest_wait_s(c, now))

    def rows(
        self, state: State | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[SeriesRow]:
        """Series, of one state or all, in the order of their archive ids.

        Raises Rejected for a bad cursor.
        """
        return self._database.read(lambda c: listing.page_of_rows(c, state, limit, cursor))

    def find(
        self, *, study_instance_uid: str | None = None, series_instance_uid: str | None = None
    ) -> list[SeriesRow]:
        """The series of a study, or of a UID; one that two patients share finds both, no UID finds none."""
        if study_instance_uid is None and series_instance_uid is None:
            return []
        return self._database.read(lambda c: listing.find_rows(c, study_instance_uid, series_instance_uid))

    def studies(
        self,
        limit: int = 100,
        cursor: str | None = None,
        *,
        modality: Sequence[str] = (),
        body_part_examined: Sequence[str] = (),
    ) -> Page[StudyRow]:
        """Studies with a series that passes the filters and can be found, newest first, unknown dates last.

        A series that is looked at again, its vectors still there, can be found meanwhile.

        Raises Rejected for a bad cursor.
        """
        return self._database.read(
            lambda c: listing.page_of_studies(c, limit, cursor, modality, body_part_examined)
        )

    # Comparing and remembering

    def known(self, archive: str) -> Iterator[KnownSeries]:
        """Every series of one archive, in the order of their ids; read piece by piece."""
        after, more = "", True
        while more:
            page = self._database.read(
                partial(listing.known_after, archive=archive, after=after, limit=KNOWN_CHUNK)
            )
            yield from page
            more = len(page) == KNOWN_CHUNK
            after = page[-1].archive_id if page else after

    def known_among(self, archive_ids: Sequence[str]) -> dict[str, KnownSeries]:
        """Those of these series, a few thousand at most, that have a row."""
        return self._database.read(lambda c: listing.known_among(c, archive_ids))

    def recall(self, key: str) -> str | None:
        """What was remembered under this key; None when nothing was."""
        return self._database.read(lambda c: listing.read_memory(c, key))

    def remember(self, key: str, value: str) -> None:
        """Keep a value under this key, in place of the one before."""
        self._database.write(lambda c: noticing.write_memory(c, key, value))

    def revise(self, key: str, before: str | None, value: str) -> bool:
        """Keep a value under this key if what is kept there is still `before`; None is nothing."""
        return self._database.write(lambda c: noticing.revise_memory(c, key, before, value))

    # Encoders

    def holders(self) -> list[Holders]:
        """How many series of which archive are in which state, of which modality, held by which encoders.

        Of every archive: the vectors of all of them are searched together.
        """
        return self._database.read(listing.count_holders)

    def labels(self) -> dict[str, int]:
        """How many series each encoder, `name@12 hex digits`, has looked at."""
        return self._database.read(listing.read_labels)

    def disown(self, label: str) -> int:
        """Forget that this encoder looked at any series: its vectors are deleted; gives their count.

        Its backgrounds go as well.
        """

        def disown(connection: Connection) -> int:
            drop_backgrounds(connection, label)
            return noticing.disown(connection, label)

        return self._database.write(disown)

    # Backgrounds

    def backgrounds(self, label: str) -> list[Background]:
        """How alike unrelated series are to this encoder, `name@12 hex digits`; the widest first."""
        return self._database.read(lambda c: read_backgrounds(c, label))

    def keep_backgrounds(self, label: str, backgrounds: Sequence[Background], now: datetime) -> None:
        """Keep these of one encoder in place of those before."""
        self._database.write(lambda c: write_backgrounds(c, label, backgrounds, now))

    def groups(self, label: str) -> list[Group]:
        """How many series of each modality and body part have vectors of this encoder, largest first."""
        return self._database.read(lambda c: count_groups(c, label))

    # Answers

    def keep_answer(self, kept: KeptAnswer) -> None:
        """Keep what a caller was answered, in place of an earlier answer to the same question."""
        self._database.write(lambda c: answers.write_answer(c, kept))

    def answers_of(self, caller: str, since: datetime) -> list[KeptAnswer]:
        """What one caller was answered since then, the newest first; the last 100 at most."""
        return self._database.read(lambda c: answers.read_answers(c, caller, since))

    def answer_to(self, question_id: str) -> KeptAnswer | None:
        """What one question was answered; None when it is not kept."""
        return self._database.read(lambda c: answers.read_answer(c, question_id))

    def forget_answers(self, before: datetime) -> int:
        """Forget the answers of questions before then, and what was flagged; gives the answers' count."""

        def forget(connection: Connection) -> int:
            flags.delete_flags(connection, before)
            return answers.delete_answers(connection, before)

        return self._database.write(forget)

    def keep_flags(self, flagged: Sequence[KeptFlag]) -> None:
        """Keep what a caller flagged, each in place of what it said of the same series before."""
        self._database.write(lambda c: flags.write_flags(c, flagged))

    def flags_of(self, caller: str, study_instance_uid: str, since: datetime, limit: int) -> list[KeptFlag]:
        """What one caller flagged since then for its question about a study, the newest first."""
        return self._database.read(lambda c: flags.read_flags(c, caller, study_instance_uid, since, limit))
