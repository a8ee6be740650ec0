"""One series from the archive into the vector index, and what became of it."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from indexer.domain import EncoderVersion, IndexedSeries, SeriesAttributes, SeriesReference
from indexer.errors import EncoderUnavailable, NotFound, Rejected, TooLarge, Unsupported
from indexer.ledger import Failed, Gone, Indexed, Lease, Outcome, Skipped
from indexer.line_up import DOCUMENTS, Holdings, LineUps
from indexer.patients import key_name_of
from indexer.ports import Archive, FetchedInstance, StoredInstance, StoredSeries, VectorIndex
from inference.embedding import Embedded
from inference.sampling import SampledFrame, sample_frames


class Embedder(Protocol):
    """Turns the sampled frames, or the reports, of one series into its embedding."""

    @property
    def version(self) -> EncoderVersion:
        """The encoder of the vectors."""
        ...

    def embed_series(
        self,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        fetched: Iterable[FetchedInstance],
    ) -> Embedded:
        """Embed, `fetched` still arriving; raises Unsupported or Rejected when not one frame can be."""
        ...


class Embedders(Protocol):
    """The encoders of this process."""

    def line_ups(self) -> LineUps:
        """Which of them take which series, now."""
        ...

    def of(self, version: EncoderVersion) -> Embedder:
        """One of them, loaded when it is first asked for. Raises EncoderUnavailable when it cannot be."""
        ...

    def of_reports(self, version: EncoderVersion) -> Embedder:
        """What embeds reports by it, loaded when first asked for. Raises EncoderUnavailable."""
        ...


@dataclass(slots=True)
class _Looked:
    """What became of one series, encoder by encoder."""

    made: dict[EncoderVersion, SeriesAttributes]
    left_out: list[str]
    refused: dict[EncoderVersion, Rejected]

    retired: frozenset[str] = frozenset()

    @property
    def holdings(self) -> str:
        """As the ledger keeps it; who was retired while the series was looked at holds nothing any more."""
        made, refused = frozenset(map(str, self.made)), frozenset(map(str, self.refused))
        return str(Holdings(made - self.retired, refused - self.retired))


@dataclass(frozen=True, slots=True)
class SeriesIndexing:
    """Looks at one series: new, changed, unchanged or gone, it decides what the index must hold.

    `spool` is a folder for fetched files, `patient_key_name` names the key with which the embedders
    hash patients.
    """

    archive: Archive
    index: VectorIndex
    embedders: Embedders
    spool: Path
    max_frames: int
    max_instance_bytes: int
    patient_key_name: str

    def outcome(self, lease: Lease) -> Outcome:
        """Bring the vectors of the leased series up to date, those of every encoder that takes it.

        Raises:
            Unavailable: a neighbour does not answer; nothing is decided.
        """
        try:
            stored = self.archive.series(lease.archive_id)
        except NotFound:
            self.index.forget([lease.archive_id])
            return Gone()
        line_ups = self.embedders.line_ups()
        wanted = line_ups.wanted(stored.listed.modality)
        if not wanted:
            self.index.forget([lease.archive_id])
            return _unserved(stored, line_ups)
        looked = _Looked(self._kept(lease, stored, wanted), [], {})
        missing = [version for version in wanted if version not in looked.made]
        if missing:
            self._make(stored, missing, line_ups, looked)
            self._delete_what_is_not_made(lease.archive_id, line_ups, looked)
            looked.retired = _labels(line_ups) - _labels(self.embedders.line_ups())
        return _outcome(stored, looked, wanted)

    def _kept(
        self, lease: Lease, stored: StoredSeries, wanted: Sequence[EncoderVersion]
    ) -> dict[EncoderVersion, SeriesAttributes]:
        """The encoders whose vectors are those of the same files and patient key: nothing to do.

        What the ledger says of the files is not enough: somebody may have stored vectors of others and
        died, or stored them late.
        """
        if lease.fingerprint != stored.fingerprint:
            return {}
        made, kept = Holdings.of(lease.encoder).made, {}
        for version in wanted:
            held = self.index.indexed(version, [lease.archive_id]) if str(version) in made else {}
            found = held.get(lease.archive_id)
            if found and _is_of(found, stored) and self._is_of_our_key(found.attributes):
                kept[version] = found.attributes
        return kept

    def _is_of_our_key(self, attributes: SeriesAttributes) -> bool:
        return attributes.patient is None or key_name_of(attributes.patient) == self.patient_key_name

    def _make(
        self, stored: StoredSeries, missing: Sequence[EncoderVersion], line_ups: LineUps, looked: _Looked
    ) -> None:
        """Fetch once and embed by each encoder; what one of them refuses, another may take.

        An encoder that is only filled beside, or the text tower of any, that cannot be loaded here holds up
        nobody: a comparison finds what it lacks once it is at hand. For one encoder the files are decoded
        while others arrive.
        """
        embedders: list[Embedder] = []
        embedder_of = self.embedders.of_reports if _is_text(stored) else self.embedders.of
        for version in missing:
            try:
                embedders.append(embedder_of(version))
            except EncoderUnavailable:
                if version not in line_ups.only_beside and not _is_text(stored):
                    raise
        if not embedders:
            return
        try:
            sampled = sample_frames(self._of_bearable_size(stored), self.max_frames)
        except Rejected as refused:
            looked.refused |= dict.fromkeys((embedder.version for embedder in embedders), refused)
            return
        wanted = list({frame.instance.archive_id: frame.instance for frame in sampled}.values())
        with (
            tempfile.TemporaryDirectory(prefix="series-", dir=self.spool) as folder,
            _closed(self.archive.fetch(wanted, Path(folder))) as arriving,
        ):
            fetched = arriving if len(embedders) == 1 else list(arriving)
            for embedder in embedders:
                self._make_one(embedder, stored, sampled, fetched, looked)

    def _make_one(
        self,
        embedder: Embedder,
        stored: StoredSeries,
        sampled: Sequence[SampledFrame],
        fetched: Iterable[FetchedInstance],
        looked: _Looked,
    ) -> None:
        try:
            embedded = embedder.embed_series(stored.listed.reference, sampled, fetched)
            self.index.upsert([replace(embedded.embedding, fingerprint=stored.fingerprint)])
        except Rejected as refused:
            looked.refused[embedder.version] = refused
            return
        looked.made[embedder.version] = embedded.embedding.attributes
        looked.left_out.append(_left_out(embedded))

    def _delete_what_is_not_made(self, archive_id: str, line_ups: LineUps, looked: _Looked) -> None:
        """What cannot be embedded, or is another encoder's now, leaves no older vectors behind."""
        if not looked.made:
            self.index.forget([archive_id])
            return
        for version in line_ups.versions:
            if version not in looked.made:
                self.index.delete(version, [archive_id])

    def _of_bearable_size(self, stored: StoredSeries) -> list[StoredInstance]:
        """The instances that may be fetched; one giant does not lose its series."""
        limit = self.max_instance_bytes
        bearable = [instance for instance in stored.instances if instance.size_bytes <= limit]
        if not bearable:
            raise TooLarge(f"Every instance is over {limit} bytes: raise CBIR_MAX_INSTANCE_BYTES.")
        return bearable


def _is_of(indexed: IndexedSeries, stored: StoredSeries) -> bool:
    """Whether the vectors are of these files; those of earlier releases do not say, and are believed."""
    return indexed.fingerprint in ("", stored.fingerprint)


def _is_text(stored: StoredSeries) -> bool:
    return stored.listed.modality in DOCUMENTS


def _labels(line_ups: LineUps) -> frozenset[str]:
    return frozenset(map(str, line_ups.versions))


@contextmanager
def _closed(arriving: Iterator[FetchedInstance]) -> Iterator[Iterator[FetchedInstance]]:
    """End the fetching with the block, so that no file is written into a folder that is gone."""
    try:
        yield arriving
    finally:
        if isinstance(arriving, Generator):
            arriving.close()


def _outcome(stored: StoredSeries, looked: _Looked, wanted: Sequence[EncoderVersion]) -> Outcome:
    """Indexed if one encoder could; else what the first of those that takes the series says of it."""
    if looked.made:
        attributes = next(looked.made[version] for version in wanted if version in looked.made)
        said = [f"{version}: {refused.reason}." for version, refused in looked.refused.items()]
        detail = " ".join(dict.fromkeys(text for text in (*looked.left_out, *said) if text))
        return _indexed(stored, looked.holdings, attributes, detail)
    if not looked.refused:
        return _skipped(stored, looked.holdings, _not_loaded(wanted))
    return _refused(stored, looked.holdings, next(iter(looked.refused.values())))


def _unserved(stored: StoredSeries, line_ups: LineUps) -> Skipped:
    """Another line-up may have an encoder for it: it names nobody, which is not the same as None."""
    modality = stored.listed.modality or "without a modality"
    if _is_text(stored):
        unread = Unsupported(
            f"No encoder of {line_ups.serving} reads text: `cbir encoders list` shows those that do.",
            reason="report",
        )
        return _skipped(stored, str(Holdings()), unread)
    nobody = Unsupported(
        f"No encoder of {line_ups.serving} takes series {modality}: add one that does to CBIR_ENCODER.",
        reason="no_encoder",
    )
    return _skipped(stored, str(Holdings()), nobody)


def _not_loaded(wanted: Sequence[EncoderVersion]) -> Unsupported:
    """Only the line-up beside takes the series, or it is a report: no lane that has images waits for it."""
    return Unsupported(
        f"{', '.join(map(str, wanted))} cannot be loaded here: `cbir encoders list` shows why.",
        reason="encoder_not_loaded",
    )


def _refused(stored: StoredSeries, holdings: str, refused: Rejected) -> Skipped | Failed:
    """Another encoder may judge otherwise, so what is skipped names the one that skipped it."""
    listed = stored.listed
    if not isinstance(refused, Unsupported):
        return Failed(
            refused.reason, str(refused), listed.reference, listed.modality, listed.revision, forgotten=True
        )
    return _skipped(stored, holdings, refused)


def _skipped(stored: StoredSeries, holdings: str, refused: Rejected) -> Skipped:
    return Skipped(
        reference=stored.listed.reference,
        attributes=SeriesAttributes(modality=stored.listed.modality),
        revision=stored.listed.revision,
        fingerprint=stored.fingerprint,
        reason=refused.reason,
        detail=str(refused),
        encoder=holdings,
    )


def _indexed(stored: StoredSeries, holdings: str, attributes: SeriesAttributes, detail: str) -> Indexed:
    return Indexed(
        reference=stored.listed.reference,
        attributes=attributes,
        revision=stored.listed.revision,
        fingerprint=stored.fingerprint,
        encoder=holdings,
        detail=detail,
    )


def _left_out(embedded: Embedded) -> str:
    """Which frames were left out and why, in our own words: `2 frames skipped: blank_frame`."""
    reasons = sorted({skipped.reason for skipped in embedded.skipped})
    count = len(embedded.skipped)
    return f"{count} frames skipped: {', '.join(reasons)}" if count else ""
