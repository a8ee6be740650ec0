"""One series from the archive into the vector index, and what became of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from indexer.domain import EncoderVersion, SeriesAttributes, SeriesReference
from indexer.errors import NotFound, Rejected, TooLarge, Unsupported
from indexer.ledger import Failed, Gone, Indexed, Lease, Outcome, Skipped
from indexer.patients import key_name_of
from indexer.ports import Archive, FetchedInstance, StoredInstance, StoredSeries, VectorIndex
from inference.embedding import Embedded
from inference.sampling import SampledFrame, sample_frames


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


@dataclass(frozen=True, slots=True)
class SeriesIndexing:
    """Looks at one series: new, changed, unchanged or gone, it decides what the index must hold.

    `spool` is a folder for fetched files, `patient_key_name` names the key with which the embedder
    hashes patients.
    """

    archive: Archive
    index: VectorIndex
    embedder: Embedder
    spool: Path
    max_frames: int
    max_instance_bytes: int
    patient_key_name: str

    def outcome(self, lease: Lease) -> Outcome:
        """Bring the vectors of the leased series up to date.

        Raises:
            Unavailable: a neighbour does not answer; nothing is decided.
        """
        try:
            stored = self.archive.series(lease.archive_id)
        except NotFound:
            self.index.forget([lease.archive_id])
            return Gone()
        return self._unchanged(lease, stored) or self._indexed_anew(lease, stored)

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

    def _indexed_anew(self, lease: Lease, stored: StoredSeries) -> Outcome:
        """What cannot be embedded leaves no older vectors behind."""
        try:
            embedded = self._embed(stored)
            self.index.upsert([embedded.embedding])
        except Rejected as refused:
            self.index.forget([lease.archive_id])
            return _refused(stored, self.embedder.version, refused)
        return _indexed(stored, self.embedder.version, embedded.embedding.attributes, _left_out(embedded))

    def _embed(self, stored: StoredSeries) -> Embedded:
        sampled = sample_frames(self._of_bearable_size(stored), self.max_frames)
        wanted = list({frame.instance.archive_id: frame.instance for frame in sampled}.values())
        with tempfile.TemporaryDirectory(prefix="series-", dir=self.spool) as folder:
            fetched = list(self.archive.fetch(wanted, Path(folder)))
            return self.embedder.embed_series(stored.listed.reference, sampled, fetched)

    def _of_bearable_size(self, stored: StoredSeries) -> list[StoredInstance]:
        """The instances that may be fetched; one giant does not lose its series."""
        limit = self.max_instance_bytes
        bearable = [instance for instance in stored.instances if instance.size_bytes <= limit]
        if not bearable:
            raise TooLarge(f"Every instance is over {limit} bytes: raise CBIR_MAX_INSTANCE_BYTES.")
        return bearable


def _refused(stored: StoredSeries, encoder: EncoderVersion, refused: Rejected) -> Skipped | Failed:
    """Another encoder may judge otherwise, so what is skipped names the one that skipped it."""
    listed = stored.listed
    if not isinstance(refused, Unsupported):
        return Failed(refused.reason, str(refused), listed.reference, listed.modality, listed.revision)
    return Skipped(
        reference=listed.reference,
        attributes=SeriesAttributes(modality=listed.modality),
        revision=listed.revision,
        fingerprint=stored.fingerprint,
        reason=refused.reason,
        detail=str(refused),
        encoder=str(encoder),
    )


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


def _left_out(embedded: Embedded) -> str:
    """Which frames were left out and why, in our own words: `2 frames skipped: blank_frame`."""
    reasons = sorted({skipped.reason for skipped in embedded.skipped})
    count = len(embedded.skipped)
    return f"{count} frames skipped: {', '.join(reasons)}" if count else ""
