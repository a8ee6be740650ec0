"""The encoders of a process: each loaded when it is first needed, all of them behind one set of decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexer.domain import EncoderVersion, FeatureMap, MatchMap, SeriesEmbedding
from indexer.errors import EncoderUnavailable, NotConfigured, Rejected, Unsupported
from indexer.line_up import LineUp, LineUps
from indexer.ports import TextEmbedding, Window
from indexer.search.match_maps import DifferentEncoders
from inference.card import EncoderError
from inference.decoders import Decoders
from inference.embedding import EmbeddedFiles, Pseudonym, SeriesEmbedder, embed_groups
from inference.encoder import OnnxEncoder
from inference.frames import render, summarise
from inference.loading import OnceLoaded
from inference.report_embedding import ReportEmbedder, read_reports
from inference.text import NO_TEXT_ENCODER, TextEncoder


@dataclass(frozen=True, slots=True)
class Alone:
    """One embedder that takes everything: implements `inference.series.Embedders`."""

    embedder: SeriesEmbedder

    def line_ups(self) -> LineUps:
        """A line-up of its encoder."""
        return LineUps.alone(self.embedder.version)

    def of(self, version: EncoderVersion) -> SeriesEmbedder:
        """The embedder. Raises EncoderUnavailable for another version."""
        if version != self.embedder.version:
            raise EncoderUnavailable(f"{version} is not loaded here.")
        return self.embedder

    def of_reports(self, version: EncoderVersion) -> ReportEmbedder:
        """None: raises EncoderUnavailable."""
        raise EncoderUnavailable(f"{version} reads no text here.")


@dataclass(frozen=True, slots=True)
class Inference:
    """What the embedders of a process share; `max_frames` and `batch_size` as `SeriesEmbedder` has them."""

    decoders: Decoders
    pseudonym: Pseudonym
    providers: Sequence[str] = ()
    threads: int = 0
    max_frames: int = 32
    batch_size: int = 16


class LoadedEmbedders:
    """Implements `inference.series.Embedders` and `inference.app.Embedder`; one serves every thread.

    A session an encoder, kept once it is loaded. One that cannot be loaded is tried again after a minute.
    """

    def __init__(
        self,
        inference: Inference,
        line_ups: Callable[[], LineUps],
        now: Callable[[], LineUps],
        folder_of: Callable[[EncoderVersion], Path],
    ) -> None:
        """Load nothing yet.

        Args:
            inference: what they share.
            line_ups: which encoder takes which series, as it was a moment ago: for who asks.
            now: the same, read now: a series that is looked at anew for a new line-up must not be settled
                by the one before.
            folder_of: where a version is; raises EncoderError.
        """
        self.line_ups = now
        self._recently = line_ups
        self._inference = inference
        self._folder_of = folder_of
        self._embedders = OnceLoaded(self._embedder)
        self._texts = OnceLoaded(self._text_encoder)

    def load(self) -> None:
        """Load the encoders that are searched, so that a broken one is noticed at the start.

        Raises:
            EncoderError: one of them cannot be used.
        """
        for version in self.line_ups().serving.versions:
            self._embedders.load(version)

    def of(self, version: EncoderVersion) -> SeriesEmbedder:
        """The embedder of this version. Raises EncoderUnavailable when it cannot be had here."""
        return self._embedders.of(version)

    def of_reports(self, version: EncoderVersion) -> ReportEmbedder:
        """The embedder of reports that stand among this version's vectors. Raises EncoderUnavailable."""
        return ReportEmbedder(self._texts.of(version), self._inference.decoders, self._inference.pseudonym)

    def _embedder(self, version: EncoderVersion) -> SeriesEmbedder:
        shared = self._inference
        encoder = OnnxEncoder(self._folder_of(version), shared.providers, shared.threads)
        _refuse_another(encoder.version, version)
        return SeriesEmbedder(
            encoder,
            shared.decoders,
            shared.pseudonym,
            max_frames=shared.max_frames,
            batch_size=shared.batch_size,
        )

    def _text_encoder(self, version: EncoderVersion) -> TextEncoder:
        encoder = TextEncoder(self._folder_of(version), self._inference.providers, self._inference.threads)
        _refuse_another(encoder.version, version)
        return encoder

    @property
    def version(self) -> EncoderVersion:
        """The first encoder of the line-up that is searched."""
        return self._recently().serving.versions[0]

    def embed_groups(self, paths: Sequence[Path], frame_number: int | None = None) -> EmbeddedFiles:
        """Embed DICOM files, each series by the encoder that serves its modality.

        Raises:
            Rejected: no frame of any of them can be embedded.
            NotFound: there is no such frame (1-based).
            EncoderUnavailable: an encoder cannot be loaded.
        """
        route = partial(self._route, self._recently().serving)
        return embed_groups(route, self._inference.decoders, paths, frame_number)

    def _route(self, serving: LineUp, modality: str) -> SeriesEmbedder:
        version = serving.looks_at(modality)
        if version is None:
            raise Unsupported(
                f"No encoder of {serving} takes series {modality or 'without a modality'}.",
                reason="no_encoder",
            )
        return self.of(version)

    def embed_files(
        self, paths: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Like `embed_groups`, the embeddings alone."""
        return tuple(embedded.embedding for embedded in self.embed_groups(paths, frame_number).series)

    def embed_text(self, text: str) -> TextEmbedding:
        """Embed words by the first encoder that is searched and reads; one may have come a moment ago.

        Raises:
            NotConfigured: none reads.
            Rejected: it knows none of the words (unknown_words).
            EncoderUnavailable: it cannot be loaded.
        """
        encoder = self._texts.of(self._reading())
        vector = encoder.encode([text])[0]
        if not vector.any() or not encoder.knows(text):
            raise Rejected(
                f"{encoder.version.name} knows none of these words: it reads {', '.join(encoder.languages)}.",
                reason="unknown_words",
            )
        return TextEmbedding(encoder.version, vector)

    def embed_reports(self, paths: Sequence[Path]) -> TextEmbedding:
        """Embed what DICOM reports tell of what is seen, all together, by the encoder of `embed_text`.

        Raises:
            Rejected: none of the reports can be read, or says what is seen, which is said first; or none
                of them in words that it knows.
            NotConfigured: none reads.
            EncoderUnavailable: it cannot be loaded.
        """
        reports = read_reports(paths, self._inference.decoders)
        return self.of_reports(self._reading()).embed_together(reports)

    def _reading(self) -> EncoderVersion:
        """The first encoder that is searched and reads. Raises NotConfigured."""
        reading = self._recently().serving.text_encoder or self.line_ups().serving.text_encoder
        if reading is None:
            raise NotConfigured(NO_TEXT_ENCODER)
        return reading.version

    def render_file(
        self, path: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame (1-based) of a DICOM file as a PNG. Raises Rejected, NotFound."""
        decoders = self._inference.decoders
        call = decoders.submit(render, path, frame_number - 1, longest_side, decoders.limits, window)
        return decoders.result(call)

    def feature_maps(self, path: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder of the instance's modality saw in frames (1-based) of a DICOM file.

        Raises:
            Rejected: a frame cannot be decoded, or no encoder takes the modality.
            NotFound: there is no such frame.
            EncoderUnavailable: the encoder cannot be loaded.
        """
        return self._of_file(path).feature_maps(path, frame_numbers)

    def occlusion_maps(
        self, paths: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames (1-based) looks like the other, by covering them; slow.

        Errors as those of `feature_maps`; Rejected too where the two have an encoder each.
        """
        one, other = (self._of_file(path) for path in paths)
        if one.version != other.version:
            raise DifferentEncoders(one.version, other.version)
        return one.occlusion_maps(paths, frame_numbers)

    def _of_file(self, path: Path) -> SeriesEmbedder:
        decoders = self._inference.decoders
        summary = decoders.result(decoders.submit(summarise, path, decoders.limits))
        return self._route(self._recently().serving, summary.attributes.modality)


def _refuse_another(found: EncoderVersion, wanted: EncoderVersion) -> None:
    if found != wanted:
        raise EncoderError(f"The folder of {wanted} holds {found} now: put it back.")
