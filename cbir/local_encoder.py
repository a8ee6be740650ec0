"""The encoders of this process as the port that a search asks; loaded when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.domain import FeatureMap, MatchMap, SeriesEmbedding
from indexer.ports import TextEmbedding, Window
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

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder saw in frames (1-based) of a DICOM file."""
        return self.embedder().feature_maps(instance, frame_numbers)

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames (1-based) looks like the other, by covering them; slow."""
        return self.embedder().occlusion_maps(instances, frame_numbers)

    def embed_text(self, text: str) -> TextEmbedding:
        """The unit vector of a text."""
        return self.embedder().embed_text(text)

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """The unit vector of what reports tell, all together."""
        return self.embedder().embed_reports(reports)
