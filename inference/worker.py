"""The worker: lease a series, fetch, embed, upsert, done; several series in hand at once."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from indexer.domain import EncoderVersion, SeriesAttributes, SeriesReference
from indexer.errors import NotFound, Rejected, TooLarge, Unavailable, Unsupported
from indexer.ledger import Failed, Gone, Indexed, Lease, Ledger, Notice, Outcome, Priority, Skipped, TryAgain
from indexer.patients import key_name_of
from indexer.ports import Archive, FetchedInstance, StoredInstance, StoredSeries, VectorIndex
from inference.embedding import Embedded
from inference.sampling import SampledFrame, sample_frames

logger = logging.getLogger(__name__)

IDLE_S = 1.0
MAX_ABANDONED = 5
LONGEST_PAUSE_S = 30.0


class Embedder(Protocol):
    """Turns the sampled frames of one series into its embedding."""

    @property
    def version(self) -> EncoderVersion:
        """The encoder of the vectors."""
        ...

    def embed_series(
        self,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        fetched: Sequence[FetchedInstance],
    ) -> Embedded:
        """Embed; raises Unsupported or Rejected when not one frame can be."""
        ...


def worker_name() -> str:
    """A name for leases that no other worker has: host, process and a few random digits."""
    return f"{socket.gethostname()[:40]}/{os.getpid()}/{uuid.uuid4().hex[:6]}"


def now_utc() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """How much a worker takes on, and how long it tries."""

    lanes: int = 3
    lease_s: float = 120.0
    max_attempts: int = 6
    max_frames: int = 32
    max_instance_bytes: int = 2**30


@dataclass
class Worker:
    """Indexes what the ledger says is waiting, until it is told to stop.

    Each of `limits.lanes` threads takes one series through the whole walk, so that one series is
    fetched while another is decoded and a third is embedded. `spool` is a folder for fetched files,
    `patient_key_name` names the key with which the embedder hashes patients.
    """

    ledger: Ledger
    archive: Archive
    index: VectorIndex
    embedder: Embedder
    spool: Path
    limits: WorkLimits = field(default_factory=WorkLimits)
    patient_key_name: str = ""
    clock: Callable[[], datetime] = now_utc
    owner: str = field(default_factory=worker_name)
    _held: dict[str, Lease] = field(default_factory=dict)
    _ledger_down: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
            leases = self.ledger.lease(self.owner, 1, self.limits.lease_s, self.clock())
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
        logger.info("series_done series=%s %s kept=%s", lease.archive_id, describe(outcome), kept)
        if not kept:
            self._take_back(lease)
        return outcome

    def _take_back(self, lease: Lease) -> None:
        """Our vectors came after another worker took the series over, and may be older than its own.

        Without vectors the series is embedded again, whoever looks next.
        """
        try:
            self.index.delete(self.embedder.version, [lease.archive_id])
            self.ledger.notice([Notice(lease.archive_id, self.archive.name, Priority.CHANGED)], self.clock())
        except Unavailable as down:
            logger.error("late_vectors_not_taken_back series=%s detail=%s", lease.archive_id, down)  # noqa: TRY400

    def _outcome(self, lease: Lease) -> Outcome:
        try:
            return self._walk(lease)
        except Unavailable as down:
            return TryAgain(down.reason, str(down))
        except Exception as unexpected:  # the edge of a loop that must not die
            logger.exception("series_unexpected series=%s", lease.archive_id)
            return TryAgain("unexpected_error", type(unexpected).__name__, self.limits.max_attempts)

    def _walk(self, lease: Lease) -> Outcome:
        version = self.embedder.version
        if lease.abandoned >= MAX_ABANDONED:
            return Failed("worker_died", f"{lease.abandoned} workers in a row died, or hung, on this series.")
        try:
            stored = self.archive.series(lease.archive_id)
        except NotFound:
            self.index.delete(version, [lease.archive_id])
            return Gone()
        unchanged = self._unchanged(lease, stored)
        if unchanged is not None:
            return unchanged
        try:
            embedded = self._embed(stored)
        except Rejected as refused:
            self.index.delete(version, [lease.archive_id])
            return _refused(stored, refused)
        self.index.upsert([embedded.embedding])
        return _indexed(stored, version, embedded.embedding.attributes, _summary(embedded))

    def _unchanged(self, lease: Lease, stored: StoredSeries) -> Indexed | None:
        """The same files, encoder and patient key, and the vectors are there: nothing to do."""
        version = self.embedder.version
        if lease.fingerprint != stored.fingerprint or lease.encoder != str(version):
            return None
        found = self.index.indexed(version, [lease.archive_id])
        if lease.archive_id not in found:
            return None
        patient = found[lease.archive_id].attributes.patient
        if patient is not None and key_name_of(patient) != self.patient_key_name:
            return None
        return _indexed(stored, version, found[lease.archive_id].attributes, "")

    def _embed(self, stored: StoredSeries) -> Embedded:
        sampled = sample_frames(self._of_bearable_size(stored), self.limits.max_frames)
        wanted = list({frame.instance.archive_id: frame.instance for frame in sampled}.values())
        with tempfile.TemporaryDirectory(prefix="series-", dir=self.spool) as folder:
            fetched = list(self.archive.fetch(wanted, Path(folder)))
            return self.embedder.embed_series(stored.listed.reference, sampled, fetched)

    def _of_bearable_size(self, stored: StoredSeries) -> list[StoredInstance]:
        """The instances that may be fetched; one giant does not lose its series."""
        limit = self.limits.max_instance_bytes
        bearable = [instance for instance in stored.instances if instance.size_bytes <= limit]
        if not bearable:
            raise TooLarge(f"Every instance is over {limit} bytes: raise CBIR_MAX_INSTANCE_BYTES.")
        return bearable

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


def describe(outcome: Outcome) -> str:
    """One outcome as `event key=value` text for a log line."""
    reason = getattr(outcome, "reason", "")
    name = type(outcome).__name__.lower()
    return f"outcome={name} reason={reason}" if reason else f"outcome={name}"


def _refused(stored: StoredSeries, refused: Rejected) -> Skipped | Failed:
    if isinstance(refused, Unsupported):
        return Skipped(
            reference=stored.listed.reference,
            attributes=SeriesAttributes(modality=stored.listed.modality),
            revision=stored.listed.revision,
            fingerprint=stored.fingerprint,
            reason=refused.reason,
            detail=str(refused),
        )
    listed = stored.listed
    return Failed(refused.reason, str(refused), listed.reference, listed.modality, listed.revision)


def _indexed(
    stored: StoredSeries, encoder: EncoderVersion, attributes: SeriesAttributes, detail: str
) -> Indexed:
    return Indexed(
        reference=stored.listed.reference,
        attributes=attributes,
        revision=stored.listed.revision,
        fingerprint=stored.fingerprint,
        encoder=str(encoder),
        detail=detail,
    )


def _summary(embedded: Embedded) -> str:
    """Which frames were left out and why, in our own words: `2 frames skipped: blank_frame`."""
    reasons = sorted({skipped.reason for skipped in embedded.skipped})
    count = len(embedded.skipped)
    return f"{count} frames skipped: {', '.join(reasons)}" if count else ""
