"""Places on a frame, and what an encoder saw where."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.domain.series import EncoderVersion, Vector


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle on a frame: fractions of the frame's width and height, from its top left corner.

    Where it says what a question asks about, it lies inside the frame; where it says what a feature map
    covers, it may reach beyond (a frame that was letterboxed) or leave a margin out (one that was cropped).
    """

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """What an encoder saw in one frame, cell by cell, before it was averaged.

    Attributes:
        encoder: the one that saw it.
        cells: float32 (rows, columns, d), row 0 at the top; the mean of all cells has the direction of the
            frame's vector, exactly for an encoder with a `feature_map` output that is its embedding's
            average; those of others are vectors of overlapping crops, whose mean is only roughly it.
        area: the part of the frame that the cells cover.
    """

    encoder: EncoderVersion
    cells: Vector
    area: Region


@dataclass(frozen=True, slots=True)
class MatchMap:
    """Where one frame looks like another: float32 (rows, columns) in [0, 1] over `area` of the frame."""

    values: Vector
    area: Region
