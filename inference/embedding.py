"""The pipeline of a series: decode, render and preprocess in processes, encode in full batches meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from indexer.domain import (
    EncoderVersion,
    FeatureMap,
    MatchMap,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import NotConfigured, Rejected
from indexer.ports import FetchedInstance, StoredInstance, TextEmbedding, Window
from inference.attributes import HeaderAttributes
from inference.decoders import Call, Decoders
from inference.encoder import OnnxEncoder
from inference.feature_maps import feature_maps
from inference.frames import PreparedInstance, prepare, render
from inference.grouping import by_series, that_frame
from inference.limits import Limits
from inference.occlusion import occlusion_maps
from inference.outcome import Outcome, SkippedFrame, WaitingFrame
from inference.reading import Identity
from inference.sampling import SampledFrame, sample_frames
from inference.text import NO_TEXT_ENCODER

Pseudonym = Callable[[str, str], str | None]
"""(issuer, patient id) to a keyed hash, or None when the id is blank or a placeholder."""

FRAMES_A_CALL: Final = 8
"""A multi-frame instance is decoded by several processes, so many frames each."""


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
            decoders: closed with the embedder.
            pseudonym: turns issuer and patient id into a keyed hash; the id goes nowhere else.
            max_frames: sampled from a series of uploaded files.
            batch_size: frames encoded at once.
        """
        self._encoder = encoder
        self._decoders = decoders
        self._pseudonym = pseudonym
        self._max_frames = max_frames
        self._batch_size = batch_size

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        pseudonym: Pseudonym,
        limits: Limits,
        decoders: int = 0,
        providers: Sequence[str] = (),
        threads: int = 0,
        batch_size: int = 16,
        max_frames: int = 32,
    ) -> Self:
        """Load the encoder of `folder` and prepare `decoders` processes (0 is one a core, at most 4).

        Raises EncoderError when the folder does not hold a usable encoder.
        """
        encoder = OnnxEncoder(folder, providers, threads)
        processes = Decoders(limits, decoders)
        return cls(encoder, processes, pseudonym, max_frames=max_frames, batch_size=batch_size)

    def __enter__(self) -> Self:
        """The embedder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the decoders."""
        self.close()

    def close(self) -> None:
        """Stop the decoders."""
        self._decoders.close()

    @property
    def version(self) -> EncoderVersion:
        """The encoder of the vectors."""
        return self._encoder.version

    @property
    def encoder(self) -> OnnxEncoder:
        """What makes the vectors."""
        return self._encoder

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers that the encoder runs on."""
        return self._encoder.providers

    def embed_series(
        self,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        fetched: Iterable[FetchedInstance],
    ) -> Embedded:
        """Embed the sampled frames of one series.

        `fetched` may still be arriving: what has come is decoded, and encoded, while the rest is fetched.
        A sampled instance that never comes is skipped (not_fetched), one that belongs to another series
        by its header too (other_series); blank frames are skipped (blank_frame), whatever the encoder would
        answer to them: they look like each other, and show nothing.

        Raises:
            Unsupported: the series holds nothing to index.
            Rejected: not one frame can be embedded; the reason is the most frequent one.
        """
        places = _places(sampled)
        outcome = Outcome()
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
        return embed_groups(lambda _modality: self, self._decoders, paths, frame_number)

    def render_file(
        self, path: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame (1-based) of a DICOM file as a PNG. Raises Rejected, NotFound."""
        limits = self._decoders.limits
        call = self._decoders.submit(render, path, frame_number - 1, longest_side, limits, window)
        return self._decoders.result(call)

    def feature_maps(self, path: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder saw in frames (1-based) of a DICOM file. Raises Rejected, NotFound."""
        return feature_maps(self._encoder, self._decoders, path, frame_numbers)

    def occlusion_maps(
        self, paths: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames (1-based) looks like the other, by covering them; slow. Same errors."""
        return occlusion_maps(self._encoder, self._decoders, paths, frame_numbers)

    def embed_text(self, text: str) -> TextEmbedding:
        """An encoder of images alone reads nothing: raises NotConfigured."""
        raise NotConfigured(NO_TEXT_ENCODER)

    def embed_reports(self, paths: Sequence[Path]) -> TextEmbedding:
        """As `embed_text`: raises NotConfigured."""
        raise NotConfigured(NO_TEXT_ENCODER)

    def embed_group(
        self, reference: SeriesReference, instances: Sequence[FetchedInstance], frame_number: int | None
    ) -> Embedded:
        """Embed the files of one series, or only one frame (1-based) of each; errors as `embed_files`."""
        stored = [fetched.instance for fetched in instances]
        if frame_number is None:
            sampled = sample_frames(stored, self._max_frames)
        else:
            sampled = that_frame(stored, frame_number)[: self._max_frames]
        wanted = {frame.instance.archive_id for frame in sampled}
        return self.embed_series(
            reference, sampled, [f for f in instances if f.instance.archive_id in wanted]
        )

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
        pieces: Sequence[_Piece],
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        outcome: Outcome,
    ) -> list[_Piece]:
        """Take finished pieces in, and give those back that are not."""
        unfinished = []
        for piece in pieces:
            if piece.call.future.done():
                self._take(piece, reference, sampled, outcome)
            else:
                unfinished.append(piece)
        return unfinished

    def _take(
        self, piece: _Piece, reference: SeriesReference, sampled: Sequence[SampledFrame], outcome: Outcome
    ) -> None:
        try:
            prepared = self._decoders.result(piece.call)
            refuse_other_series(prepared.identity, reference)
        except Rejected as refused:
            for order in piece.orders:
                outcome.refuse(refused, piece.instance.sop_instance_uid, sampled[order].frame_index + 1)
            return
        outcome.take(piece.orders, prepared)
        while len(outcome.waiting) >= self._batch_size:
            self._encode_waiting(outcome)

    def _encode_waiting(self, outcome: Outcome) -> None:
        batch, outcome.waiting = outcome.waiting[: self._batch_size], outcome.waiting[self._batch_size :]
        for frame, vector in self._encoded(batch):
            outcome.keep(frame, vector)

    def _encoded(self, batch: Sequence[WaitingFrame]) -> Iterator[tuple[WaitingFrame, Vector]]:
        vectors = self._encoder.encode(np.stack([pixels for _, _, pixels in batch]))
        return zip(batch, vectors, strict=True)

    def _finished(self, reference: SeriesReference, outcome: Outcome) -> Embedded:
        while outcome.waiting:
            self._encode_waiting(outcome)
        for frame in outcome.blank:
            outcome.leave_out_blank(frame)
        if not outcome.vectors or outcome.attributes is None:
            raise outcome.why_nothing()
        embedding = self._embedding(reference, outcome.attributes[1], outcome)
        return Embedded(embedding=embedding, skipped=tuple(outcome.skipped))

    def _embedding(
        self, reference: SeriesReference, attributes: HeaderAttributes, outcome: Outcome
    ) -> SeriesEmbedding:
        in_order = [outcome.vectors[order] for order in sorted(outcome.vectors)]
        frame_vectors = np.stack([vector for _, vector in in_order])
        return SeriesEmbedding(
            reference=reference,
            attributes=SeriesAttributes(
                modality=attributes.modality,
                body_part_examined=attributes.body_part_examined,
                study_date=attributes.study_date,
                patient=self._pseudonym(attributes.issuer, attributes.patient_id),
                sequence=attributes.sequence,
                plane=attributes.plane,
            ),
            encoder=self.version,
            frames=tuple(frame for frame, _ in in_order),
            vector=pooled(frame_vectors),
            frame_vectors=frame_vectors,
        )


def embed_groups(
    route: Callable[[str], SeriesEmbedder],
    decoders: Decoders,
    paths: Sequence[Path],
    frame_number: int | None = None,
) -> EmbeddedFiles:
    """Embed DICOM files series by series, each by the embedder that `route` gives for its modality.

    Raises:
        Rejected: no frame of any of them can be embedded; `route` may raise it for one modality.
        NotFound: there is no such frame.
    """
    outcome = Outcome()
    series: list[Embedded] = []
    for reference, files in by_series(paths, decoders, outcome).items():
        try:
            series.append(route(files.modality).embed_group(reference, files.instances, frame_number))
        except Rejected as refused:
            for instance in files.instances:
                outcome.refuse(refused, instance.instance.sop_instance_uid)
    if not series:
        raise outcome.why_nothing()
    return EmbeddedFiles(series=tuple(series), skipped=tuple(outcome.skipped))


def _places(sampled: Sequence[SampledFrame]) -> dict[str, tuple[int, ...]]:
    """The places in the sample of every instance's frames, by archive id."""
    places: dict[str, tuple[int, ...]] = {}
    for order, frame in enumerate(sampled):
        archive_id = frame.instance.archive_id
        places[archive_id] = (*places.get(archive_id, ()), order)
    return places


def refuse_other_series(identity: Identity, reference: SeriesReference) -> None:
    """Raise Rejected (other_series) for an instance whose header says that it belongs elsewhere."""
    found = (identity.study_instance_uid, identity.series_instance_uid)
    if found != (reference.study_instance_uid, reference.series_instance_uid):
        raise Rejected("By its header the instance belongs to another series.", reason="other_series")
