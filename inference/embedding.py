"""The pipeline of a series: decode, render and preprocess in processes, encode in full batches meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import NotFound, Rejected, TooLarge, Unsupported
from indexer.ports import FetchedInstance, StoredInstance
from inference.attributes import HeaderAttributes
from inference.decoders import Call, Decoders
from inference.encoder import OnnxEncoder
from inference.frames import InstanceSummary, PreparedFrame, PreparedInstance, prepare, render, summarise
from inference.sampling import SampledFrame, in_order, sample_frames

Pseudonym = Callable[[str, str], str | None]
"""(issuer, patient id) to a keyed hash, or None when the id is blank or a placeholder."""

_Waiting = tuple[int, FrameReference, NDArray[np.float32]]
"""A frame's place in the sample, the frame, and the model's input for it."""

_BLANK: Final = Unsupported("The frame shows nothing: it has one grey level.", reason="blank_frame")
_DEGENERATE: Final = Rejected("The encoder has no vector for the frame.", reason="degenerate_vector")

FRAMES_A_CALL: Final = 8
"""A multi-frame instance is decoded by several processes, so many frames each."""


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    """A frame, or with `frame_number` None a whole instance, that stands in no embedding, and why.

    `sop_instance_uid` is empty where not even that could be read.
    """

    sop_instance_uid: str
    reason: str
    detail: str = ""
    frame_number: int | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """One embedded series, and what was left out of it."""

    embedding: SeriesEmbedding
    skipped: tuple[SkippedFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedFiles:
    """What became of files that may belong to several series."""

    series: tuple[Embedded, ...]
    skipped: tuple[SkippedFrame, ...]


@dataclass(slots=True)
class _Outcome:
    """What is known so far of the frames of one series; `order` is a frame's place in the sample."""

    attributes: tuple[int, HeaderAttributes] | None = None
    vectors: dict[int, tuple[FrameReference, Vector]] = field(default_factory=dict)
    waiting: list[_Waiting] = field(default_factory=list)
    blank: list[_Waiting] = field(default_factory=list)
    skipped: list[SkippedFrame] = field(default_factory=list)
    refusals: list[Rejected] = field(default_factory=list)

    def refuse(self, refused: Rejected, sop_instance_uid: str, frame_number: int | None = None) -> None:
        self.refusals.append(refused)
        self.skipped.append(SkippedFrame(sop_instance_uid, refused.reason, str(refused), frame_number))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A call to a decoder: some sampled frames of one instance, with their places in the sample."""

    instance: StoredInstance
    orders: tuple[int, ...]
    call: Call[PreparedInstance]


class SeriesEmbedder:
    """Turns DICOM files into the embeddings of their series. Thread-safe."""

    def __init__(
        self,
        encoder: OnnxEncoder,
        decoders: Decoders,
        pseudonym: Pseudonym,
        *,
        max_frames: int = 32,
        batch_size: int = 16,
    ) -> None:
        """Join an encoder and decoders.

        Args:
            encoder: one a process.
            decoders: may be shared.
            pseudonym: turns issuer and patient id into a keyed hash; the id goes nowhere else.
            max_frames: sampled from a series of uploaded files.
            batch_size: frames encoded at once.
        """
        self._encoder = encoder
        self._decoders = decoders
        self._pseudonym = pseudonym
        self._max_frames = max_frames
        self._batch_size = batch_size

    @property
    def version(self) -> EncoderVersion:
        """The encoder of the vectors."""
        return self._encoder.version

    def embed_series(
        self,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        fetched: Iterable[FetchedInstance],
    ) -> Embedded:
        """Embed the sampled frames of one series.

        `fetched` may still be arriving: what has come is decoded, and encoded, while the rest is fetched.
        A sampled instance that never comes is skipped (not_fetched), one that belongs to another series
        by its header too (other_series); blank frames are skipped unless nothing else is there.

        Raises:
            Unsupported: the series holds nothing to index.
            Rejected: not one frame can be embedded; the reason is the most frequent one.
        """
        places = _places(sampled)
        outcome = _Outcome()
        pieces: list[_Piece] = []
        for instance in fetched:
            orders = places.pop(instance.instance.archive_id, ())
            pieces += self._pieces(instance, orders, sampled)
            pieces = self._take_what_is_done(pieces, reference, sampled, outcome)
        for piece in pieces:
            self._take(piece, reference, sampled, outcome)
        for orders in places.values():
            gone = Rejected("The instance was gone when it was fetched.", reason="not_fetched")
            outcome.refuse(gone, sampled[orders[0]].instance.sop_instance_uid)
        return self._finished(reference, outcome)

    def embed_files(
        self, paths: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files that may belong to several series, sampled by the same rule as the archive's.

        Args:
            paths: DICOM files.
            frame_number: only this frame (1-based) of each; None: frames sampled over each series.

        Raises:
            Rejected: no frame of any of them can be embedded.
            NotFound: there is no such frame.
        """
        return tuple(embedded.embedding for embedded in self.embed_groups(paths, frame_number).series)

    def embed_groups(self, paths: Sequence[Path], frame_number: int | None = None) -> EmbeddedFiles:
        """Like embed_files(), with what was skipped and why."""
        outcome = _Outcome()
        groups = self._grouped(paths, outcome)
        series: list[Embedded] = []
        for reference, instances in groups.items():
            try:
                series.append(self._embed_group(reference, instances, frame_number))
            except NotFound:
                raise
            except Rejected as refused:
                for instance in instances:
                    outcome.refuse(refused, instance.instance.sop_instance_uid)
        if not series:
            raise _most_frequent(outcome.refusals)
        return EmbeddedFiles(series=tuple(series), skipped=tuple(outcome.skipped))

    def render_file(self, path: Path, frame_number: int, longest_side: int) -> bytes:
        """One frame (1-based) of a DICOM file as a PNG. Raises Rejected, NotFound."""
        call = self._decoders.submit(render, path, frame_number - 1, longest_side, self._decoders.limits)
        return self._decoders.result(call)

    def _pieces(
        self, fetched: FetchedInstance, orders: Sequence[int], sampled: Sequence[SampledFrame]
    ) -> Iterator[_Piece]:
        preprocessing = self._encoder.card.input.preprocessing
        for start in range(0, len(orders), FRAMES_A_CALL):
            some = tuple(orders[start : start + FRAMES_A_CALL])
            frame_indices = tuple(sampled[order].frame_index for order in some)
            call = self._decoders.submit(
                prepare, fetched.path, frame_indices, preprocessing, self._decoders.limits
            )
            yield _Piece(fetched.instance, some, call)

    def _take_what_is_done(
        self,
        pieces: list[_Piece],
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        outcome: _Outcome,
    ) -> list[_Piece]:
        for piece in pieces:
            if piece.call.future.done():
                self._take(piece, reference, sampled, outcome)
        return [piece for piece in pieces if not piece.call.future.done()]

    def _take(
        self,
        piece: _Piece,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        outcome: _Outcome,
    ) -> None:
        try:
            prepared = self._decoders.result(piece.call)
            _refuse_other_series(prepared, reference)
        except Rejected as refused:
            for order in piece.orders:
                outcome.refuse(refused, piece.instance.sop_instance_uid, sampled[order].frame_index + 1)
            return
        first = piece.orders[0]
        if outcome.attributes is None or first < outcome.attributes[0]:
            outcome.attributes = (first, prepared.attributes)
        for order, frame in zip(piece.orders, prepared.frames, strict=True):
            _sort_in(order, frame, prepared, outcome)
        while len(outcome.waiting) >= self._batch_size:
            self._encode_batch(outcome)

    def _encode_batch(self, outcome: _Outcome) -> None:
        batch, outcome.waiting = outcome.waiting[: self._batch_size], outcome.waiting[self._batch_size :]
        for (order, frame, _), vector in self._encoded(batch):
            if vector.any():
                outcome.vectors[order] = (frame, vector)
            else:
                outcome.refuse(_DEGENERATE, frame.sop_instance_uid, frame.frame_number)

    def _finished(self, reference: SeriesReference, outcome: _Outcome) -> Embedded:
        while outcome.waiting:
            self._encode_batch(outcome)
        if not outcome.vectors:
            self._encode_blank(outcome)
        for _, frame, _ in outcome.blank:
            outcome.refuse(_BLANK, frame.sop_instance_uid, frame.frame_number)
        if not outcome.vectors or outcome.attributes is None:
            raise _most_frequent(outcome.refusals)
        embedding = self._embedding(reference, outcome.attributes[1], outcome.vectors)
        return Embedded(embedding=embedding, skipped=tuple(outcome.skipped))

    def _encode_blank(self, outcome: _Outcome) -> None:
        """Nothing else is there: blank frames stand for the series, as far as the encoder knows them."""
        while outcome.blank:
            batch, outcome.blank = outcome.blank[: self._batch_size], outcome.blank[self._batch_size :]
            for (order, frame, _), vector in self._encoded(batch):
                if vector.any():
                    outcome.vectors[order] = (frame, vector)
                else:
                    outcome.refuse(_BLANK, frame.sop_instance_uid, frame.frame_number)

    def _encoded(self, batch: list[_Waiting]) -> Iterator[tuple[_Waiting, Vector]]:
        vectors = self._encoder.encode(np.stack([pixels for _, _, pixels in batch]))
        return zip(batch, vectors, strict=True)

    def _embedding(
        self,
        reference: SeriesReference,
        attributes: HeaderAttributes,
        vectors: Mapping[int, tuple[FrameReference, Vector]],
    ) -> SeriesEmbedding:
        in_order_of_series = [vectors[order] for order in sorted(vectors)]
        frame_vectors = np.stack([vector for _, vector in in_order_of_series])
        return SeriesEmbedding(
            reference=reference,
            attributes=SeriesAttributes(
                modality=attributes.modality,
                body_part_examined=attributes.body_part_examined,
                study_date=attributes.study_date,
                patient=self._pseudonym(attributes.issuer, attributes.patient_id),
            ),
            encoder=self.version,
            frames=tuple(frame for frame, _ in in_order_of_series),
            vector=pooled(frame_vectors),
            frame_vectors=frame_vectors,
        )

    def _grouped(
        self, paths: Sequence[Path], outcome: _Outcome
    ) -> dict[SeriesReference, list[FetchedInstance]]:
        """The readable files by series, in the order of their UIDs; the others are noted in `outcome`."""
        calls = [(path, self._decoders.submit(summarise, path, self._decoders.limits)) for path in paths]
        groups: dict[SeriesReference, list[FetchedInstance]] = {}
        for path, call in calls:
            try:
                summary = self._decoders.result(call)
            except Rejected as refused:
                outcome.refuse(refused, "")
                continue
            groups.setdefault(_reference_of(summary), []).append(_fetched(path, summary))
        return dict(sorted(groups.items(), key=lambda group: group[0].archive_id))

    def _embed_group(
        self, reference: SeriesReference, instances: Sequence[FetchedInstance], frame_number: int | None
    ) -> Embedded:
        stored = [fetched.instance for fetched in instances]
        if frame_number is None:
            sampled = sample_frames(stored, self._max_frames)
        else:
            sampled = _that_frame(stored, frame_number)[: self._max_frames]
        wanted = {frame.instance.archive_id for frame in sampled}
        return self.embed_series(
            reference, sampled, [f for f in instances if f.instance.archive_id in wanted]
        )


def _places(sampled: Sequence[SampledFrame]) -> dict[str, tuple[int, ...]]:
    """The places in the sample of every instance's frames, by archive id."""
    places: dict[str, tuple[int, ...]] = {}
    for order, frame in enumerate(sampled):
        archive_id = frame.instance.archive_id
        places[archive_id] = (*places.get(archive_id, ()), order)
    return places


def _sort_in(order: int, frame: PreparedFrame, prepared: PreparedInstance, outcome: _Outcome) -> None:
    identity = prepared.identity
    if frame.pixels is None:
        refused = Rejected(frame.detail, reason=frame.reason)
        outcome.refuse(refused, identity.sop_instance_uid, frame.frame_index + 1)
        return
    reference = FrameReference(
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        frame_number=frame.frame_index + 1,
    )
    (outcome.blank if frame.blank else outcome.waiting).append((order, reference, frame.pixels))


def _refuse_other_series(prepared: PreparedInstance, reference: SeriesReference) -> None:
    identity = prepared.identity
    found = (identity.study_instance_uid, identity.series_instance_uid)
    if found != (reference.study_instance_uid, reference.series_instance_uid):
        raise Rejected("By its header the instance belongs to another series.", reason="other_series")


def _most_frequent(refusals: Sequence[Rejected]) -> Rejected:
    """One error for all of them: that of the most frequent reason, the first of its kind."""
    if not refusals:
        return Unsupported("There is nothing to embed.", reason="no_instances")
    reason = Counter(refused.reason for refused in refusals).most_common(1)[0][0]
    first = next(refused for refused in refusals if refused.reason == reason)
    kind = next((k for k in (Unsupported, TooLarge, NotFound) if isinstance(first, k)), Rejected)
    return kind(str(first), reason=reason)


def _reference_of(summary: InstanceSummary) -> SeriesReference:
    study, series = summary.identity.study_instance_uid, summary.identity.series_instance_uid
    return SeriesReference(
        study_instance_uid=study, series_instance_uid=series, archive_id=f"{study}/{series}"
    )


def _fetched(path: Path, summary: InstanceSummary) -> FetchedInstance:
    return FetchedInstance(
        instance=StoredInstance(
            archive_id=str(path),
            sop_instance_uid=summary.identity.sop_instance_uid,
            instance_number=summary.instance_number,
            number_of_frames=summary.number_of_frames,
            size_bytes=summary.size_bytes,
            position_mm=summary.position_mm,
        ),
        path=path,
    )


def _that_frame(instances: Sequence[StoredInstance], frame_number: int) -> list[SampledFrame]:
    having = [i for i in in_order(instances) if 1 <= frame_number <= max(i.number_of_frames, 1)]
    if not having:
        raise NotFound(f"There is no frame {frame_number}.")
    return [SampledFrame(instance, frame_number - 1) for instance in having]
