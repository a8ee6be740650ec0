"""Holds the vectors of an encoder against the rows of the ledger: what is stored, and of which files."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from indexer.domain import EncoderVersion
from indexer.following.compared import Comparison
from indexer.following.id_set import IdSet
from indexer.following.pieces import CHUNK, pieces
from indexer.ledger import KnownSeries, Ledger, Notice, Priority, State
from indexer.line_up import Holdings
from indexer.ports import VectorIndex

VERIFIED_AT_ONCE: Final = 50
OPEN_STATES: Final = (State.WAITING, State.LEASED)


class VectorComparison:
    """Puts series of one archive back to waiting whose vectors are not those of their rows.

    The vectors of every archive lie together; another archive's series are its own follower's.
    """

    def __init__(
        self,
        *,
        archive: str,
        ledger: Ledger,
        index: VectorIndex,
        patient_key_name: str,
        now: datetime,
        stopped: threading.Event,
    ) -> None:
        """Compare for the archive of this name, and for the key by which patients are hashed.

        `stopped` ends it early, with Stopped.
        """
        self._archive = archive
        self._ledger = ledger
        self._index = index
        self._patient_key_name = patient_key_name
        self._now = now
        self._stopped = stopped

    def compare(self, encoder: EncoderVersion, comparison: Comparison) -> None:
        """Look for vectors without a row, of other files, of other keys, and for rows without vectors."""
        stored = self._look_at_the_vectors(encoder, comparison)
        self._look_for_other_keys(encoder, comparison)
        self._look_for_the_bare(encoder, stored, comparison)

    def _look_at_the_vectors(self, encoder: EncoderVersion, comparison: Comparison) -> IdSet:
        """Hold each series' vectors against its row; gives those that have vectors.

        What a worker stores after its lease was lost, or leaves in the index's queue when it is killed,
        comes after whatever another one stored meanwhile, and nobody is there to take it back.
        """
        stored = IdSet()
        for listed in pieces(self._index.fingerprints(encoder), CHUNK, self._stopped):
            held = dict(listed)
            stored.update(held)
            known = self._ledger.known_among(list(held))
            self._delete_orphans(encoder, held, known, comparison)
            suspects = [
                row
                for row in known.values()
                if self._is_ours(row) and row.state is State.INDEXED and _is_stale(row, held[row.archive_id])
            ]
            self._look_at_the_stale(encoder, suspects, comparison)
        return stored

    def _delete_orphans(
        self,
        encoder: EncoderVersion,
        held: Mapping[str, str],
        known: Mapping[str, KnownSeries],
        comparison: Comparison,
    ) -> None:
        """Delete vectors without a row: a worker has a row in its hands before it stores vectors.

        Those of a series whose row says that this encoder holds none go too, unless an earlier release
        stored them. A row that answers for them while they are being deleted is looked at again.
        """
        orphaned = [
            archive_id
            for archive_id, fingerprint in held.items()
            if archive_id not in known
            or (fingerprint and self._is_ours(known[archive_id]) and not _answers(known[archive_id], encoder))
        ]
        if not orphaned:
            return
        self._index.delete(encoder, orphaned)
        comparison.orphaned += len(orphaned)
        returned = self._ledger.known_among(orphaned).values()
        ours = [row.archive_id for row in returned if self._is_ours(row) and _answers(row, encoder)]
        self._look_again(ours, Priority.CHANGED)

    def _look_at_the_stale(
        self,
        encoder: EncoderVersion,
        suspects: Sequence[KnownSeries],
        comparison: Comparison,
    ) -> None:
        """A series may have been indexed since its vectors were listed: ask for them by name."""
        for rows in pieces(suspects, VERIFIED_AT_ONCE, self._stopped):
            found = self._index.indexed(encoder, [row.archive_id for row in rows])
            stale = [
                row.archive_id
                for row in rows
                if row.archive_id in found and _is_stale(row, found[row.archive_id].fingerprint)
            ]
            comparison.stale += len(stale)
            self._look_again(stale, Priority.CHANGED)

    def _look_for_other_keys(self, encoder: EncoderVersion, comparison: Comparison) -> None:
        """Pseudonyms of another key are made again from the archive; until then they match nobody."""
        otherwise = self._index.hashed_otherwise(encoder, self._patient_key_name)
        for ids in pieces(otherwise, CHUNK, self._stopped):
            known = self._ledger.known_among(ids).values()
            settled = [row.archive_id for row in known if self._is_ours(row) and is_settled(row)]
            comparison.rehashed += len(settled)
            self._look_again(settled, Priority.BACKFILL)

    def _look_for_the_bare(
        self,
        encoder: EncoderVersion,
        stored: IdSet,
        comparison: Comparison,
    ) -> None:
        """A series may have been indexed since the vectors were listed: ask for its vectors by name.

        One that is looked at anyway is counted too, for its row claims vectors that are not there.
        """
        for rows in pieces(self._ledger.known(self._archive), CHUNK, self._stopped):
            claimed = {row.archive_id: row for row in rows if _claims_vectors(row, encoder)}
            for suspects in pieces(stored.absent(list(claimed)), VERIFIED_AT_ONCE, self._stopped):
                found = self._index.indexed(encoder, suspects)
                bare = [archive_id for archive_id in suspects if archive_id not in found]
                comparison.bare += len(bare)
                settled = [archive_id for archive_id in bare if is_settled(claimed[archive_id])]
                self._look_again(settled, Priority.BACKFILL)

    def _is_ours(self, row: KnownSeries) -> bool:
        return row.archive == self._archive

    def _look_again(self, archive_ids: Iterable[str], priority: Priority) -> None:
        self._ledger.notice((Notice(i, self._archive, priority) for i in archive_ids), self._now)


def is_settled(row: KnownSeries) -> bool:
    """Whether nobody looks at it, or is about to."""
    return row.state not in OPEN_STATES


def _answers(row: KnownSeries, encoder: EncoderVersion) -> bool:
    """Whether the row says that this encoder holds vectors, or somebody is about to say so."""
    return row.state in OPEN_STATES or str(encoder) in Holdings.of(row.encoder).made


def _is_stale(row: KnownSeries, fingerprint: str) -> bool:
    """What an earlier release stored has no fingerprint, and is believed."""
    return fingerprint not in ("", row.fingerprint)


def _claims_vectors(row: KnownSeries, encoder: EncoderVersion) -> bool:
    could_have = row.state is State.INDEXED or row.state in OPEN_STATES
    return could_have and str(encoder) in Holdings.of(row.encoder).made
