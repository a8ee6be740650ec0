"""An archive, a ledger and vectors to follow, with a worker that only looks whether a series is there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
)
from indexer.errors import NotFound
from indexer.following import Comparison, Reconciler
from indexer.ledger import Failed, Gone, Indexed, Lease, Ledger, Outcome, Skipped, State
from indexer.line_up import LineUps
from indexer.ports import Archive
from tests.fakes.archive import FakeArchive
from tests.fakes.vector_index import FakeVectorIndex

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUIET_S = 30.0
ENCODER = EncoderVersion("grey32", "0" * 64, 2)
OTHER_ENCODER = EncoderVersion("learned", "1" * 64, 2)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def embedding(reference: SeriesReference, encoder: EncoderVersion = ENCODER) -> SeriesEmbedding:
    vector = np.array([1.0, 0.0], dtype=np.float32)
    return SeriesEmbedding(
        reference=reference,
        attributes=SeriesAttributes("CT"),
        encoder=encoder,
        frames=(FrameReference("1.2", f"{reference.series_instance_uid}.1", 1),),
        vector=vector,
        frame_vectors=vector[np.newaxis],
    )


@dataclass
class Desk:
    """Any archive, followed and worked on."""

    ledger: Ledger
    archive: Archive
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)

    def __post_init__(self) -> None:
        self.index.prepare(ENCODER)
        self.index.prepare(OTHER_ENCODER)

    def reconciler(self, encoder: EncoderVersion = ENCODER) -> Reconciler:
        return Reconciler(
            archive=self.archive,
            ledger=self.ledger,
            index=self.index,
            line_ups=lambda: LineUps.alone(encoder),
            quiet_s=QUIET_S,
        )

    def compare(self, at: datetime = NOW, encoder: EncoderVersion = ENCODER) -> Comparison:
        comparison = self.reconciler(encoder).compare(at)
        assert comparison.complete
        return comparison

    def work(self, at: datetime = NOW, encoder: EncoderVersion = ENCODER) -> list[str]:
        """Do what is due and give the ids, in the order of the work."""
        leases = self.ledger.lease("worker", 1000, 60.0, at)
        for lease in leases:
            assert self.ledger.finish(lease, "worker", self.look(lease, encoder), at)
        return [lease.archive_id for lease in leases]

    def look(self, lease: Lease, encoder: EncoderVersion = ENCODER) -> Outcome:
        try:
            stored = self.archive.series(lease.archive_id)
        except NotFound:
            self.index.delete(encoder, [lease.archive_id])
            return Gone()
        reference = stored.listed.reference
        self.index.upsert([replace(embedding(reference, encoder), fingerprint=stored.fingerprint)])
        return Indexed(
            reference, SeriesAttributes("CT"), stored.listed.revision, stored.fingerprint, str(encoder)
        )

    def fail(self, at: datetime = NOW) -> None:
        for lease in self.ledger.lease("worker", 1000, 60.0, at):
            assert self.ledger.finish(lease, "worker", Failed("bad", "Bad."), at)

    def skip(self, encoder: EncoderVersion | None) -> None:
        for lease in self.ledger.lease("worker", 1000, 60.0, NOW):
            stored = self.archive.series(lease.archive_id)
            outcome = Skipped(
                None,
                None,
                stored.listed.revision,
                stored.fingerprint,
                "unsupported",
                "No frames.",
                str(encoder) if encoder else None,
            )
            assert self.ledger.finish(lease, "worker", outcome, NOW)

    def indexed(self) -> set[str]:
        return {row.archive_id for row in self.ledger.rows(State.INDEXED).rows}

    def vectors(self, encoder: EncoderVersion = ENCODER) -> set[str]:
        return set(self.index.archive_ids(encoder))


@dataclass
class House(Desk):
    """An archive in memory, filled by the test."""

    archive: FakeArchive = field(default_factory=FakeArchive)

    def put(self, number: int = 1, *, stable: bool = True) -> str:
        archive_id = self.archive.put(study=f"1.{number}", series=f"1.{number}.1", sop=f"1.{number}.1.1")
        if stable:
            self.archive.stabilise(archive_id)
        return archive_id
