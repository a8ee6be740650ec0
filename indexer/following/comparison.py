"""Compares all of the archive, the ledger and the vector index: the layer that misses nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime

from indexer.domain import EncoderVersion
from indexer.following.compared import Comparison
from indexer.following.id_set import IdSet
from indexer.following.pieces import CHUNK, Stopped, pieces
from indexer.following.vectors import OPEN_STATES, VectorComparison, is_settled
from indexer.ledger import KnownSeries, Ledger, Notice, Priority, State
from indexer.line_up import Holdings, LineUps
from indexer.ports import Archive, ListedSeries, VectorIndex

logger = logging.getLogger(__name__)


class Reconciler:
    """Makes the ledger and the vector index agree with the archive.

    It decides nothing: it only asks the worker to look. What it holds of the archive's list is a set of
    hashes, whatever the size of the archive.
    """

    def __init__(
        self,
        *,
        archive: Archive,
        ledger: Ledger,
        index: VectorIndex,
        line_ups: Callable[[], LineUps],
        quiet_s: float,
        patient_key_name: str = "",
        is_at_hand: Callable[[EncoderVersion], bool] = lambda _encoder: True,
    ) -> None:
        """Compare for these encoders and this patient key.

        Args:
            archive: what there is.
            ledger: what is known of it.
            index: what is stored.
            line_ups: tells, anew for each comparison, which encoders take which series.
            quiet_s: for how long a growing series is left alone.
            patient_key_name: names the key that patients are hashed with.
            is_at_hand: whether an encoder could be loaded; for one that is only filled beside and is not
                here, nothing is looked at again in vain.
        """
        self._archive = archive
        self._ledger = ledger
        self._index = index
        self._line_ups = line_ups
        self._quiet_s = quiet_s
        self._patient_key_name = patient_key_name
        self._is_at_hand = is_at_hand
        self._key = f"compared {archive.name}"

    def compare(self, now: datetime, stop: threading.Event | None = None) -> Comparison:
        """Compare all of it once; between pieces, `stop` ends it early.

        The archive comes first: only after the ledger knows every series that is there may vectors
        without a row be deleted.

        Raises:
            Unavailable: a neighbour does not answer; what was noticed until then stays noticed.
        """
        comparison, started = Comparison(), time.monotonic()
        stopped = stop or threading.Event()
        line_ups = self._line_ups()
        vectors = VectorComparison(
            archive=self._archive.name,
            ledger=self._ledger,
            index=self._index,
            patient_key_name=self._patient_key_name,
            now=now,
            stopped=stopped,
        )
        try:
            there = self._look_at_the_archive(line_ups, comparison, now, stopped)
            self._look_for_the_gone(there, comparison, now, stopped)
            for encoder in line_ups.versions:
                if encoder not in self._line_ups().versions:
                    continue  # retired meanwhile: its place must not be made again
                self._index.prepare(encoder)
                vectors.compare(encoder, comparison)
        except Stopped:
            return comparison
        self._ledger.remember(self._key, now.isoformat())
        comparison.complete = True
        comparison.took_s = time.monotonic() - started
        return comparison

    def _look_at_the_archive(
        self, line_ups: LineUps, comparison: Comparison, now: datetime, stopped: threading.Event
    ) -> IdSet:
        there = IdSet()
        missing = {version for version in line_ups.only_beside if not self._is_at_hand(version)}
        newcomers = Priority.BACKFILL if self._ledger.recall(self._key) is None else Priority.CHANGED
        for listed in pieces(self._archive.list_series(), CHUNK, stopped):
            there.update(series.reference.archive_id for series in listed)
            comparison.listed += len(listed)
            known = self._ledger.known_among([series.reference.archive_id for series in listed])
            notices = []
            for series in listed:
                wanted = line_ups.wanted(series.modality)
                row = known.get(series.reference.archive_id)
                priority = self._judge(series, row, wanted, newcomers, comparison, missing)
                if priority is not None:
                    notices.append(self._notice(series, priority))
            self._ledger.notice(notices, now)
        return there

    def _judge(
        self,
        series: ListedSeries,
        known: KnownSeries | None,
        wanted: Sequence[EncoderVersion],
        newcomers: Priority,
        comparison: Comparison,
        missing: Set[EncoderVersion],
    ) -> Priority | None:
        """How urgently to look at a series of the archive; None when there is no need.

        What an archive holds when it is compared for the first time is a backfill; what appears later
        was missed by the hints and the log, or still grows, and somebody may be waiting for it.
        """
        if known is None:
            comparison.unknown += 1
            return newcomers if series.stable else Priority.CHANGED
        if known.state in OPEN_STATES:
            return None
        if known.revision != series.revision:
            comparison.changed += 1
            return Priority.CHANGED
        if _is_outdated(known, wanted, missing):
            comparison.outdated += 1
            return Priority.BACKFILL
        return None

    def _notice(self, series: ListedSeries, priority: Priority) -> Notice:
        return Notice(
            archive_id=series.reference.archive_id,
            archive=self._archive.name,
            priority=priority,
            due_in_s=0.0 if series.stable else self._quiet_s,
            reference=series.reference,
            modality=series.modality,
            revision=series.revision,
        )

    def _look_for_the_gone(
        self, there: IdSet, comparison: Comparison, now: datetime, stopped: threading.Event
    ) -> None:
        """The worker looks, finds a series gone, and deletes its vectors; or finds it, if it came late."""
        for ids in self._settled(stopped):
            gone = there.absent(ids)
            comparison.gone += len(gone)
            self._ledger.notice((Notice(i, self._archive.name, Priority.CHANGED) for i in gone), now)

    def _settled(self, stopped: threading.Event) -> Iterator[list[str]]:
        """The ids of settled rows; nobody needs to be told of those that are looked at anyway."""
        for rows in pieces(self._ledger.known(self._archive.name), CHUNK, stopped):
            yield [row.archive_id for row in rows if is_settled(row)]


def _is_outdated(row: KnownSeries, wanted: Sequence[EncoderVersion], missing: Set[EncoderVersion]) -> bool:
    """Whether an encoder that takes the series and is here has not looked at it, or none takes it any more.

    What was skipped by nobody in particular, no encoder would judge otherwise.
    """
    if row.state is State.FAILED or row.encoder is None:
        return False
    could_look = [version for version in wanted if version not in missing]
    return Holdings.of(row.encoder).lack(could_look) or (row.state is State.INDEXED and not wanted)
