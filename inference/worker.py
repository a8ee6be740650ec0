"""The worker: lease a series, fetch, embed, upsert, done; several series in hand at once."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from indexer.errors import Unavailable
from indexer.ledger import Failed, Lease, Ledger, Notice, Outcome, Priority, TryAgain
from indexer.ports import Archive, VectorIndex
from inference.series import Embedders, SeriesIndexing

logger = logging.getLogger(__name__)

IDLE_S = 1.0
MAX_ABANDONED = 5
LONGEST_PAUSE_S = 30.0


def worker_name() -> str:
    """A name for leases that no other worker has: host, process and a few random digits."""
    return f"{socket.gethostname()[:40]}/{os.getpid()}/{uuid.uuid4().hex[:6]}"


def now_utc() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """How much a worker takes on, and how long it tries."""

    lanes: int = 5
    lease_s: float = 120.0
    max_attempts: int = 6
    max_frames: int = 32
    max_instance_bytes: int = 2**30


@dataclass
class Worker:
    """Indexes what the ledger says is waiting, until it is told to stop.

    Each of `limits.lanes` threads takes one series through the whole walk, so that one series is
    fetched while another is decoded and a third is embedded. `spool` is a folder for fetched files,
    `patient_key_name` names the key with which the embedders hash patients.
    """

    ledger: Ledger
    archive: Archive
    index: VectorIndex
    embedders: Embedders
    spool: Path
    limits: WorkLimits = field(default_factory=WorkLimits)
    patient_key_name: str = ""
    clock: Callable[[], datetime] = now_utc
    owner: str = field(default_factory=worker_name)
    _held: dict[str, Lease] = field(default_factory=dict)
    _ledger_down: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Join the ports to what is done with one series."""
        self._series = SeriesIndexing(
            archive=self.archive,
            index=self.index,
            embedders=self.embedders,
            spool=self.spool,
            max_frames=self.limits.max_frames,
            max_instance_bytes=self.limits.max_instance_bytes,
            patient_key_name=self.patient_key_name,
        )

    def run(self, stop: threading.Event, *, until_idle: bool = False) -> None:
        """Work until `stop` is set or, with `until_idle`, until nothing is due and nothing is in hand."""
        self.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        finished = threading.Event()
        heart = threading.Thread(target=self._keep_leases, args=(finished,), name="leases", daemon=True)
        lanes = [
            threading.Thread(target=self._lane, args=(stop, until_idle), name=f"lane-{n}", daemon=True)
            for n in range(self.limits.lanes)
        ]
        for thread in (heart, *lanes):
            thread.start()
        for lane in lanes:
            lane.join()
        finished.set()
        heart.join()

    def _lane(self, stop: threading.Event, until_idle: bool) -> None:
        pause_s = IDLE_S
        while not stop.is_set():
            lease = self._next()
            if lease is None:
                if until_idle and not self._held:
                    return
                stop.wait(IDLE_S if not until_idle else 0.05)
                continue
            outcome = self._work(lease)
            if isinstance(outcome, TryAgain) and outcome.max_attempts is None:
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                pause_s = IDLE_S

    def _next(self) -> Lease | None:
        try:
            leases = self.ledger.lease(
                self.owner, 1, self.limits.lease_s, self.clock(), archive=self.archive.name
            )
        except Unavailable as down:
            self._say_once(down)
            return None
        self._ledger_down = False
        for lease in leases:
            with self._lock:
                self._held[lease.archive_id] = lease
            return lease
        return None

    def _say_once(self, down: Unavailable) -> None:
        """One line an outage, though every lane asks every second."""
        with self._lock:
            known, self._ledger_down = self._ledger_down, True
        if not known:
            logger.warning("ledger_unavailable detail=%s", down)

    def _work(self, lease: Lease) -> Outcome:
        outcome = self._outcome(lease)
        with self._lock:
            self._held.pop(lease.archive_id, None)
        try:
            kept = self.ledger.finish(lease, self.owner, outcome, self.clock())
        except Unavailable as down:
            logger.warning("ledger_unavailable series=%s detail=%s", lease.archive_id, down)
            return outcome
        except Exception:  # the edge of a loop that must not die: the lease expires, and is counted
            logger.exception("series_not_settled series=%s", lease.archive_id)
            return outcome
        logger.info("series_done series=%s %s kept=%s", lease.archive_id, describe(outcome), kept)
        if not kept:
            self._take_back(lease)
        return outcome

    def _take_back(self, lease: Lease) -> None:
        """Our vectors came after another worker took the series over, and may be older than its own.

        Without vectors the series is embedded again, whoever looks next.
        """
        try:
            self.index.forget([lease.archive_id])
            self.ledger.notice([Notice(lease.archive_id, self.archive.name, Priority.CHANGED)], self.clock())
        except Unavailable as down:
            logger.error("late_vectors_not_taken_back series=%s detail=%s", lease.archive_id, down)  # noqa: TRY400

    def _outcome(self, lease: Lease) -> Outcome:
        if lease.abandoned >= MAX_ABANDONED:
            return Failed("worker_died", f"{lease.abandoned} workers in a row died, or hung, on this series.")
        try:
            return self._series.outcome(lease)
        except Unavailable as down:
            return TryAgain(down.reason, str(down))
        except Exception as unexpected:  # the edge of a loop that must not die
            logger.exception("series_unexpected series=%s", lease.archive_id)
            return TryAgain("unexpected_error", type(unexpected).__name__, self.limits.max_attempts)

    def _keep_leases(self, finished: threading.Event) -> None:
        while not finished.wait(self.limits.lease_s / 3):
            with self._lock:
                held = list(self._held.values())
            if not held:
                continue
            try:
                self.ledger.extend(held, self.owner, self.limits.lease_s, self.clock())
            except Unavailable as down:
                logger.warning("leases_not_extended count=%d detail=%s", len(held), down)
            except Exception:  # the edge of a loop that must not die
                logger.exception("leases_not_extended count=%d", len(held))


def describe(outcome: Outcome) -> str:
    """One outcome as `event key=value` text for a log line."""
    reason = getattr(outcome, "reason", "")
    name = type(outcome).__name__.lower()
    return f"outcome={name} reason={reason}" if reason else f"outcome={name}"
