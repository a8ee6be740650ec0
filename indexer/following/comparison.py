"""Compares all of the archive, the ledger and the vector index: the layer that misses nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from indexer.domain import EncoderVersion
from indexer.following.id_set import IdSet
from indexer.ledger import KnownSeries, Ledger, Notice, Priority, State
from indexer.line_up import Holdings, LineUps
from indexer.ports import Archive, ListedSeries, VectorIndex

logger = logging.getLogger(__name__)

CHUNK: Final = 1000
VERIFIED_AT_ONCE: Final = 50
OPEN_STATES: Final = (State.WAITING, State.LEASED)

Item = TypeVar("Item")


@dataclass
class Comparison:
    """How many series one comparison saw, and what it found.

    Attributes:
        listed: series in the archive.
        unknown: of those, not in the ledger.
        changed: another revision than the one looked at last.
        outdated: not looked at by every encoder that takes them.
        gone: in the ledger and no longer in the archive.
        orphaned: vectors of series that the ledger does not know; deleted.
        rehashed: vectors whose patient was hashed with another key than the one in use.
        bare: the ledger says that they have vectors, and they have none; those that wait are counted too.
        complete: False when it was stopped half-way.
        took_s: how long it took.
    """

    listed: int = 0
    unknown: int = 0
    changed: int = 0
    outdated: int = 0
    gone: int = 0
    orphaned: int = 0
    rehashed: int = 0
    bare: int = 0
    complete: bool = False
    took_s: float = 0.0

    @property
    def found(self) -> int:
        """How many series were put back to work, or out."""
        settled = self.unknown + self.changed + self.outdated + self.gone
        return settled + self.orphaned + self.rehashed + self.bare

    def __str__(self) -> str:
        """As `key=value` words for the log."""
        counted = (name for name in self.__dataclass_fields__ if name != "took_s")
        return " ".join(f"{name}={getattr(self, name)}" for name in counted)


class _Stopped(Exception):
    """The comparison was asked to stop."""


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
        try:
            there = self._look_at_the_archive(line_ups, comparison, now, stopped)
            self._look_for_the_gone(there, comparison, now, stopped)
            for encoder in line_ups.versions:
                if encoder not in self._line_ups().versions:
                    continue  # retired meanwhile: its place must not be made again
                self._index.prepare(encoder)
                stored = self._look_at_the_vectors(encoder, comparison, now, stopped)
                self._look_for_other_keys(encoder, comparison, now, stopped)
                self._look_for_the_bare(encoder, stored, comparison, now, stopped)
        except _Stopped:
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
        for listed in _pieces(self._archive.list_series(), CHUNK, stopped):
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
            self._ledger.notice(self._again(gone, Priority.CHANGED), now)

    def _look_at_the_vectors(
        self, encoder: EncoderVersion, comparison: Comparison, now: datetime, stopped: threading.Event
    ) -> IdSet:
        """Delete vectors without a row: a worker has a row in its hands before it stores vectors.

        A row that appears while its vectors are being deleted is looked at again.
        """
        stored = IdSet()
        for ids in _pieces(self._index.archive_ids(encoder), CHUNK, stopped):
            stored.update(ids)
            known = self._ledger.known_among(ids)
            orphaned = [archive_id for archive_id in ids if archive_id not in known]
            if orphaned:
                self._index.delete(encoder, orphaned)
                comparison.orphaned += len(orphaned)
                returned = self._ledger.known_among(orphaned).values()
                ours = [row.archive_id for row in returned if self._is_ours(row)]
                self._ledger.notice(self._again(ours, Priority.CHANGED), now)
        return stored

    def _look_for_other_keys(
        self, encoder: EncoderVersion, comparison: Comparison, now: datetime, stopped: threading.Event
    ) -> None:
        """Pseudonyms of another key are made again from the archive; until then they match nobody."""
        otherwise = self._index.hashed_otherwise(encoder, self._patient_key_name)
        for ids in _pieces(otherwise, CHUNK, stopped):
            known = self._ledger.known_among(ids).values()
            settled = [row.archive_id for row in known if self._is_ours(row) and _is_settled(row)]
            comparison.rehashed += len(settled)
            self._ledger.notice(self._again(settled, Priority.BACKFILL), now)

    def _look_for_the_bare(
        self,
        encoder: EncoderVersion,
        stored: IdSet,
        comparison: Comparison,
        now: datetime,
        stopped: threading.Event,
    ) -> None:
        """A series may have been indexed since the vectors were listed: ask for its vectors by name.

        One that is looked at anyway is counted too, for its row claims vectors that are not there.
        """
        for rows in _pieces(self._ledger.known(self._archive.name), CHUNK, stopped):
            claimed = {row.archive_id: row for row in rows if _claims_vectors(row, encoder)}
            for suspects in _pieces(stored.absent(list(claimed)), VERIFIED_AT_ONCE, stopped):
                found = self._index.indexed(encoder, suspects)
                bare = [archive_id for archive_id in suspects if archive_id not in found]
                comparison.bare += len(bare)
                settled = [archive_id for archive_id in bare if _is_settled(claimed[archive_id])]
                self._ledger.notice(self._again(settled, Priority.BACKFILL), now)

    def _is_ours(self, row: KnownSeries) -> bool:
        """The vectors of every archive lie together; another archive's series are its own follower's."""
        return row.archive == self._archive.name

    def _settled(self, stopped: threading.Event) -> Iterator[list[str]]:
        """The ids of settled rows; nobody needs to be told of those that are looked at anyway."""
        for rows in _pieces(self._ledger.known(self._archive.name), CHUNK, stopped):
            yield [row.archive_id for row in rows if _is_settled(row)]

    def _again(self, archive_ids: Iterable[str], priority: Priority) -> list[Notice]:
        return [Notice(archive_id, self._archive.name, priority) for archive_id in archive_ids]


def _claims_vectors(row: KnownSeries, encoder: EncoderVersion) -> bool:
    could_have = row.state is State.INDEXED or row.state in OPEN_STATES
    return could_have and str(encoder) in Holdings.of(row.encoder).made


def _is_outdated(row: KnownSeries, wanted: Sequence[EncoderVersion], missing: Set[EncoderVersion]) -> bool:
    """Whether an encoder that takes the series and is here has not looked at it, or none takes it any more.

    What was skipped by nobody in particular, no encoder would judge otherwise.
    """
    if row.state is State.FAILED or row.encoder is None:
        return False
    could_look = [version for version in wanted if version not in missing]
    return Holdings.of(row.encoder).lack(could_look) or (row.state is State.INDEXED and not wanted)


def _is_settled(row: KnownSeries) -> bool:
    return row.state not in OPEN_STATES


def _pieces(items: Iterable[Item], size: int, stopped: threading.Event) -> Iterator[list[Item]]:
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        if stopped.is_set():
            raise _Stopped
        yield piece
