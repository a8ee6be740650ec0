"""Occlusion: how much less alike two frames are while a patch of one of them is covered."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from indexer.domain import MatchMap, Region, Vector
from indexer.errors import Rejected
from indexer.search.match_maps import in_unit_range
from inference.covered import CoveredFrame
from inference.decoders import Decoders
from inference.encoder import OnnxEncoder
from inference.feature_maps import covered_frames
from inference.outcome import DEGENERATE
from inference.preprocess import Pixels

PATCHES: Final = 7
"""Patches along each side."""
BATCH_SIZE: Final = 16


def occlusion_maps(
    encoder: OnnxEncoder, decoders: Decoders, paths: tuple[Path, Path], frame_numbers: tuple[int, int]
) -> tuple[MatchMap, MatchMap]:
    """Where each of two frames looks like the other, found by covering them; slow, and needs no feature map.

    Args:
        encoder: embeds both.
        decoders: decode both.
        paths: the DICOM file of each frame.
        frame_numbers: 1-based.

    Raises:
        Rejected: a frame cannot be decoded, or the encoder has no finite answer to it.
        NotFound: there is no such frame.
    """
    one, other = (
        covered_frames(encoder, decoders, path, (number - 1,))[0]
        for path, number in zip(paths, frame_numbers, strict=True)
    )
    first, second = encoder.encode(np.stack([one.pixels, other.pixels]))
    if not first.any() or not second.any():
        raise Rejected("The encoder has no vector for the frame.", reason=DEGENERATE)
    return (
        MatchMap(in_unit_range(losses(encoder, one, second)), one.area),
        MatchMap(in_unit_range(losses(encoder, other, first)), other.area),
    )


def losses(encoder: OnnxEncoder, frame: CoveredFrame, vector: Vector, patches: int = PATCHES) -> Vector:
    """How much the cosine of a frame and a vector falls while each patch of the frame is covered.

    A patch is twice as high and wide as its place in the grid, around it, and is filled with the mean of
    the frame; bars beside a letterboxed frame are left as they are.

    Args:
        encoder: embeds the covered frame.
        frame: the model's input.
        vector: float32 (d,), unit length: the other frame's.
        patches: along each side of the input.

    Returns:
        float32 (patches, patches) in [-2, 2]; a frame that has no vector any more has lost all likeness.

    Source:
        Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2.
    """
    whole = float(encoder.encode(frame.pixels[None])[0] @ vector)
    covered = [cover(frame, row, column, patches) for row in range(patches) for column in range(patches)]
    likeness = np.concatenate(
        [
            encoder.encode(np.stack(covered[start : start + BATCH_SIZE])) @ vector
            for start in range(0, len(covered), BATCH_SIZE)
        ]
    )
    return np.asarray(whole - likeness, dtype=np.float32).reshape(patches, patches)


def cover(frame: CoveredFrame, row: int, column: int, patches: int) -> Pixels:
    """The model's input with the patch at a place of the grid (0-based) filled with the frame's mean."""
    height, width = frame.pixels.shape[1:]
    inside = frame_inside(frame.area, height, width)
    rows = _span(row, patches, height, inside[0])
    columns = _span(column, patches, width, inside[1])
    covered = frame.pixels.copy()
    mean = frame.pixels[:, inside[0], inside[1]].mean(axis=(1, 2))
    covered[:, rows, columns] = mean[:, None, None]
    return covered


def frame_inside(area: Region, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a model's input that show the frame, without bars."""
    return _inside(area.top, area.height, height), _inside(area.left, area.width, width)


def _inside(start: float, length: float, side: int) -> slice:
    first, last = -start / length * side, (1 - start) / length * side
    return slice(max(round(first), 0), min(round(last), side))


def _span(index: int, patches: int, side: int, inside: slice) -> slice:
    middle, half = (index + 0.5) * side / patches, side / patches
    start = max(round(middle - half), inside.start)
    return slice(start, max(min(round(middle + half), inside.stop), start))
