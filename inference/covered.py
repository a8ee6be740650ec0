"""Frames as a decoder process brings them to a model, with the part of the frame that its input shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import Region
from inference.decoding import StoredPixels
from inference.limits import Limits
from inference.preprocess import Pixels, Preprocessing, covered_area, preprocess
from inference.reading import open_instance
from inference.rendering import render_frame

WHOLE_FRAME: Final = Region(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class CoveredFrame:
    """One frame as the model's input: `pixels` is float32 (channels, height, width) and shows `area`."""

    pixels: Pixels
    area: Region


@dataclass(frozen=True, slots=True)
class Crops:
    """A frame as overlapping crops, a cell each: float32 (rows, columns, channels, height, width)."""

    pixels: NDArray[np.float32]


def cover_frames(
    path: Path, frame_indices: tuple[int, ...], wanted: Preprocessing, limits: Limits
) -> tuple[CoveredFrame, ...]:
    """Decode, render and preprocess frames (0-based) of one file. Raises Rejected, NotFound."""
    return tuple(cover(rendered, wanted) for rendered in _rendered(path, frame_indices, limits))


def crop_frames(
    path: Path, frame_indices: tuple[int, ...], wanted: Preprocessing, grid: int, limits: Limits
) -> tuple[Crops, ...]:
    """The same, cut into `grid` x `grid` crops of each frame before they are preprocessed.

    A crop is twice as high and wide as its cell, around it; at the edges it is moved inside the frame.
    """
    return tuple(crop(rendered, wanted, grid) for rendered in _rendered(path, frame_indices, limits))


def cover(rendered: Pixels, wanted: Preprocessing) -> CoveredFrame:
    """A rendered frame as the model's input."""
    return CoveredFrame(preprocess(rendered, wanted), covered_area(*_size(rendered), wanted))


def _rendered(path: Path, frame_indices: tuple[int, ...], limits: Limits) -> list[Pixels]:
    with open_instance(path, limits) as instance:
        pixels = StoredPixels(instance, limits)
        return [render_frame(pixels.frame(index)) for index in frame_indices]


def crop(rendered: Pixels, wanted: Preprocessing, grid: int) -> Crops:
    """A rendered frame as `grid` x `grid` overlapping crops."""
    rows, columns = (_spans(side, grid) for side in _size(rendered))
    crops = [preprocess(rendered[row, column], wanted) for row in rows for column in columns]
    return Crops(np.stack(crops).reshape(grid, grid, *crops[0].shape))


def _spans(side: int, grid: int) -> list[slice]:
    """`grid` overlapping pieces of a side of so many pixels."""
    length = max(round(2 * side / grid), 1)
    middles = [(index + 0.5) * side / grid for index in range(grid)]
    starts = [min(max(round(middle - length / 2), 0), max(side - length, 0)) for middle in middles]
    return [slice(start, start + length) for start in starts]


def _size(rendered: Pixels) -> tuple[int, int]:
    rows, columns = rendered.shape[:2]
    return rows, columns
