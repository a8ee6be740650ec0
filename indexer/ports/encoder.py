"""What makes vectors, pictures and maps of instances, and vectors of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from indexer.domain import (
    EncoderVersion,
    FeatureMap,
    MatchMap,
    SeriesEmbedding,
    Vector,
)
from indexer.errors import Rejected

MOST_REPORTS: Final = 32
"""Reports that are looked at for one question: the first of more. Each may take a decoder's whole time."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which modality values become black to white, in units of the modality (CT: HU); `width` is > 0."""

    center: float
    width: float


def window_or_none(center: float | None, width: float | None) -> Window | None:
    """Both, or neither. Raises Rejected."""
    if center is None and width is None:
        return None
    if center is None or width is None:
        raise Rejected("Give both window_center and window_width, or neither.")
    return Window(center, width)


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """The unit vector float32 (d,) of a text, comparable with the image vectors of `encoder`.

    Of reports, `reports` is how many have a part in it, `studies` and `patients` are those of all that were
    read: Study Instance UIDs, and keyed hashes where known.
    """

    encoder: EncoderVersion
    vector: Vector
    studies: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    reports: int = 0


class Encoder(Protocol):
    """Turns the instances of an example into embeddings, and a frame into a picture."""

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files, one embedding a series; files of several series may be mixed.

        Args:
            instances: DICOM files.
            frame_number: only this frame (1-based) of each; None: frames sampled over each series.

        Raises:
            Rejected: no frame of any of them can be embedded; its text says why.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame as a radiologist would recognise it: a PNG, grey or RGB.

        Args:
            instance: a DICOM file.
            frame_number: 1-based.
            longest_side: pixels; a smaller frame is not enlarged.
            window: of a grey frame; None takes the instance's own.
        """
        ...

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder of the instance's modality saw in each of these frames (1-based), cell by cell.

        Raises:
            Rejected: a frame cannot be decoded, or no encoder takes the modality.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames looks like the other, found by covering patches; seconds a pair.

        Args:
            instances: the DICOM file of each frame; one file may be named twice.
            frame_numbers: 1-based.

        Raises:
            Rejected: as `feature_maps`, and where each of them has another encoder.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer.
        """
        ...

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """Embed what DICOM reports tell of what is seen, all together, by the encoder of `embed_text`.

        Of more than `MOST_REPORTS` the first are looked at.

        Raises:
            Rejected: none of them can be read, or says what is seen; the reason is the most frequent one.
            NotConfigured, EncoderUnavailable: as `embed_text`. Of reports that tell nothing, who has several
                encoders says that first; one encoder that looks alone reads none of them.
        """
        ...

    def embed_text(self, text: str) -> TextEmbedding:
        """Embed a text by the image-text encoder that is searched.

        Raises:
            NotConfigured: no encoder that is searched has a text tower; the message says how to get one.
            EncoderUnavailable: the worker does not answer.
        """
        ...
