"""Whatever is noticed, leased, finished, lost and retried in any order: no notice is ever lost.

Hypothesis drives the ledger and a plain model of it side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.ledger import (
    Failed,
    Gone,
    Indexed,
    Lease,
    Ledger,
    Notice,
    Outcome,
    Priority,
    Skipped,
    State,
    TryAgain,
)
from indexer.ledger.leasing import retry_delay_s

START = datetime(2026, 3, 1, tzinfo=UTC)
JITTER = 0.5
MAX_ATTEMPTS = 2
OPEN_STATES = (State.WAITING, State.LEASED)

IDS = st.sampled_from(["a", "b", "c"])
OWNERS = st.sampled_from(["one", "two"])
SECONDS = st.sampled_from([0.0, 1.0, 5.0, 30.0])
REFERENCE = SeriesReference("1", "1.1", "any")
OUTCOMES = st.sampled_from(
    [
        Indexed(REFERENCE, SeriesAttributes(), "r", "f", "e"),
        Skipped(None, None, "r", "f", "unsupported", "No frames."),
        Gone(),
        Failed("bad", "Bad."),
        TryAgain("busy", "Busy.", MAX_ATTEMPTS),
        TryAgain("down", "Down."),
    ]
)


@dataclass
class Row:
    """What the model knows of one series; `asked` and `served` count notices."""

    priority: Priority
    due_at: datetime
    state: State = State.WAITING
    attempts: int = 0
    asked: int = 1
    holder: tuple[str, int] | None = None
    leases: int = 0
    lease_until: datetime = START
    asked_when_leased: int = 0

    @property
    def waits_for_something(self) -> bool:
        """Whether a notice can only bring forward what is due anyway."""
        noticed = self.asked > self.asked_when_leased
        return self.state is State.WAITING or (self.state is State.LEASED and noticed)

    def is_due(self, now: datetime) -> bool:
        if self.state is State.LEASED:
            return self.lease_until <= now
        return self.state is State.WAITING and self.due_at <= now


@dataclass
class Hand:
    """A lease that somebody believes to have."""

    lease: Lease
    owner: str
    asked: int


@dataclass
class Promise:
    """How often a series was asked for since its last row began, and up to where it was served."""

    asked: int = 0
    served: int = 0


@dataclass
class Model:
    rows: dict[str, Row] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)

    def notice(self, archive_id: str, priority: Priority, due_at: datetime) -> None:
        self.promises.setdefault(archive_id, Promise()).asked += 1
        row = self.rows.get(archive_id)
        if row is None:
            self.rows[archive_id] = Row(priority, due_at)
            return
        if row.waits_for_something:
            priority, due_at = min(priority, row.priority), min(due_at, row.due_at)
        row.priority, row.due_at, row.attempts = priority, due_at, 0
        row.asked += 1
        if row.state is not State.LEASED:
            row.state = State.WAITING

    def take(self, lease: Lease, owner: str, until: datetime) -> None:
        row = self.rows[lease.archive_id]
        row.state, row.holder, row.lease_until = State.LEASED, (owner, lease.token), until
        row.attempts += 1
        row.asked_when_leased = row.asked
        assert lease.attempts == row.attempts

    def holds(self, hand: Hand) -> bool:
        row = self.rows.get(hand.lease.archive_id)
        held = row is not None and row.state is State.LEASED
        return held and row is not None and row.holder == (hand.owner, hand.lease.token)

    def finish(self, hand: Hand, outcome: Outcome, now: datetime) -> None:
        archive_id = hand.lease.archive_id
        row, promise = self.rows[archive_id], self.promises[archive_id]
        row.holder = None
        if row.asked > row.asked_when_leased:
            row.state = State.WAITING
            promise.served = hand.asked
            return
        match outcome:
            case Gone():
                del self.rows[archive_id]
            case Indexed():
                row.state = State.INDEXED
            case Skipped():
                row.state = State.SKIPPED
            case TryAgain() if outcome.max_attempts is None or row.attempts < outcome.max_attempts:
                row.state = State.WAITING
                row.due_at = now + timedelta(seconds=retry_delay_s(row.attempts, JITTER))
                return
            case _:
                row.state = State.FAILED
        promise.served = hand.asked


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside the model."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.model = Model()
        self.now = START
        self.hands: list[Hand] = []
        self._empty()

    @rule(archive_id=IDS, priority=st.sampled_from(Priority), due_in_s=SECONDS)
    def notice(self, archive_id: str, priority: Priority, due_in_s: float) -> None:
        self.ledger.notice([Notice(archive_id, "orthanc", priority, due_in_s)], self.now)
        self.model.notice(archive_id, priority, self.now + timedelta(seconds=due_in_s))

    @rule(owner=OWNERS, limit=st.integers(0, 3), lease_s=st.sampled_from([1.0, 10.0]))
    def lease(self, owner: str, limit: int, lease_s: float) -> None:
        due = sorted((row.priority, row.due_at) for row in self.model.rows.values() if row.is_due(self.now))
        leases = self.ledger.lease(owner, limit, lease_s, self.now)
        taken = [self.model.rows[lease.archive_id] for lease in leases]
        assert all(row.is_due(self.now) for row in taken)
        assert [(row.priority, row.due_at) for row in taken] == due[:limit]
        for lease in leases:
            self.model.take(lease, owner, self.now + timedelta(seconds=lease_s))
            self.hands.append(Hand(lease, owner, self.model.promises[lease.archive_id].asked))

    @rule(choice=st.integers(0, 20), lease_s=st.sampled_from([1.0, 10.0]))
    def extend(self, choice: int, lease_s: float) -> None:
        if not self.hands:
            return
        hand = self.hands[choice % len(self.hands)]
        kept = self.ledger.extend([hand.lease], hand.owner, lease_s, self.now)
        assert bool(kept) == self.model.holds(hand)
        if kept:
            self.model.rows[hand.lease.archive_id].lease_until = self.now + timedelta(seconds=lease_s)

    @rule(choice=st.integers(0, 20), outcome=OUTCOMES)
    def finish(self, choice: int, outcome: Outcome) -> None:
        """Finish any lease ever given, lost ones and finished ones too."""
        if not self.hands:
            return
        hand = self.hands[choice % len(self.hands)]
        held = self.model.holds(hand)
        assert self.ledger.finish(hand.lease, hand.owner, outcome, self.now) == held
        if held:
            self.model.finish(hand, outcome, self.now)

    @rule()
    def retry(self) -> None:
        failed = [i for i, row in self.model.rows.items() if row.state is State.FAILED]
        assert self.ledger.retry(now=self.now) == len(failed)
        for archive_id in failed:
            self.model.notice(archive_id, Priority.ASKED, self.now)

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        found = {row.archive_id: (row.state, row.attempts) for row in self.ledger.rows().rows}
        assert found == {i: (row.state, row.attempts) for i, row in self.model.rows.items()}

    def teardown(self) -> None:
        """Let everything quieten: then every series that was noticed has been served since."""
        while any(row.state in OPEN_STATES for row in self.model.rows.values()):
            self.now += timedelta(seconds=60)
            self.lease("last", 3, 10.0)
            for choice in range(len(self.hands)):
                self.finish(choice, Indexed(REFERENCE, SeriesAttributes(), "r", "f", "e"))
        for archive_id, promise in self.model.promises.items():
            assert promise.served == promise.asked, archive_id
        self._empty()

    def _empty(self) -> None:
        """Take out what an earlier run has left."""
        later = START + timedelta(days=1000)
        self.ledger.notice(
            [Notice(row.archive_id, "orthanc", Priority.ASKED) for row in self.ledger.rows().rows], START
        )
        for lease in self.ledger.lease("broom", 100, 1.0, later):
            assert self.ledger.finish(lease, "broom", Gone(), later)


def test_no_notice_is_ever_lost(database_url: str) -> None:
    examples = 150 if database_url.startswith("sqlite") else 60
    with Ledger.open(database_url, jitter=lambda: JITTER) as ledger:
        run_state_machine_as_test(
            partial(LedgerMachine, ledger),  # type: ignore[arg-type]
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
