"""The encoders of a process: each loaded when it is first needed, all of them behind one set of decoders."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from indexer.domain import EncoderVersion, SeriesEmbedding
from indexer.errors import EncoderUnavailable, Unsupported
from indexer.line_up import LineUps
from indexer.ports import Window
from inference.card import EncoderError
from inference.decoders import Decoders
from inference.embedding import EmbeddedFiles, Pseudonym, SeriesEmbedder, embed_groups
from inference.encoder import OnnxEncoder
from inference.frames import render

logger = logging.getLogger(__name__)

TRY_AGAIN_S: Final = 60.0


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
        self._lock = threading.Lock()
        self._loading: dict[EncoderVersion, threading.Lock] = {}
        self._loaded: dict[EncoderVersion, SeriesEmbedder] = {}
        self._failed: dict[EncoderVersion, tuple[float, str]] = {}

    def load(self) -> None:
        """Load the encoders that are searched, so that a broken one is noticed at the start.

        Raises:
            EncoderError: one of them cannot be used.
        """
        for version in self.line_ups().serving.versions:
            with self._lock_of(version):
                self._load(version)

    def of(self, version: EncoderVersion) -> SeriesEmbedder:
        """The embedder of this version. Raises EncoderUnavailable when it cannot be had here.

        While one is loaded, only those who ask for the same one wait.
        """
        if version in self._loaded:
            return self._loaded[version]
        with self._lock_of(version):
            failed_at_s, why = self._failed.get(version, (float("-inf"), ""))
            if time.monotonic() - failed_at_s < TRY_AGAIN_S:
                raise EncoderUnavailable(why)
            try:
                return self._load(version)
            except EncoderError as error:
                self._failed[version] = (time.monotonic(), str(error))
                logger.error("encoder_not_loaded encoder=%s detail=%s", version, error)  # noqa: TRY400
                raise EncoderUnavailable(str(error)) from error

    def _lock_of(self, version: EncoderVersion) -> threading.Lock:
        with self._lock:
            return self._loading.setdefault(version, threading.Lock())

    def _load(self, version: EncoderVersion) -> SeriesEmbedder:
        if version not in self._loaded:
            shared = self._inference
            encoder = OnnxEncoder(self._folder_of(version), shared.providers, shared.threads)
            if encoder.version != version:
                raise EncoderError(f"The folder of {version} holds {encoder.version} now: put it back.")
            self._loaded[version] = SeriesEmbedder(
                encoder,
                shared.decoders,
                shared.pseudonym,
                max_frames=shared.max_frames,
                batch_size=shared.batch_size,
            )
        return self._loaded[version]

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
        serving = self._recently().serving

        def route(modality: str) -> SeriesEmbedder:
            version = serving.route(modality)
            if version is None:
                raise Unsupported(
                    f"No encoder of {serving} takes series {modality or 'without a modality'}.",
                    reason="no_encoder",
                )
            return self.of(version)

        return embed_groups(route, self._inference.decoders, paths, frame_number)

    def embed_files(
        self, paths: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Like `embed_groups`, the embeddings alone."""
        return tuple(embedded.embedding for embedded in self.embed_groups(paths, frame_number).series)

    def render_file(
        self, path: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame (1-based) of a DICOM file as a PNG. Raises Rejected, NotFound."""
        decoders = self._inference.decoders
        call = decoders.submit(render, path, frame_number - 1, longest_side, decoders.limits, window)
        return decoders.result(call)
