"""The encoders of this process as the port that a search asks; loaded when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.domain import SeriesEmbedding
from indexer.ports import Window
from inference.embedders import LoadedEmbedders


@dataclass(frozen=True, slots=True)
class LocalEncoder:
    """Implements `indexer.ports.Encoder`; most questions are about indexed studies and need no encoder."""

    embedder: Callable[[], LoadedEmbedders]

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files, one embedding a series."""
        return self.embedder().embed_files(instances, frame_number)

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame as a PNG."""
        return self.embedder().render_file(instance, frame_number, longest_side, window)
