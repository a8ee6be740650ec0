"""What an encoder saw in a frame, cell by cell: its feature map, or the vectors of overlapping crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from indexer.domain import FeatureMap, Region, Vector
from indexer.errors import NotFound, Rejected
from inference.covered import WHOLE_FRAME, CoveredFrame, Crops, cover, cover_frames, crop, crop_frames
from inference.decoders import Decoders
from inference.encoder import OnnxEncoder
from inference.outcome import DEGENERATE
from inference.preprocess import Pixels

CROPS: Final = 5
"""Crops along each side of a frame, of an encoder without a usable feature map."""
MOST_CELLS: Final = 32
"""Cells along each side; a finer map is averaged down."""


def feature_maps(
    encoder: OnnxEncoder, decoders: Decoders, path: Path, frame_numbers: Sequence[int]
) -> tuple[FeatureMap, ...]:
    """The feature maps of frames (1-based) of one DICOM file.

    An encoder whose `feature_map` output averages to its embedding answers in one pass, and its cells cover
    what its input shows of the frame. Of any other, `CROPS` x `CROPS` overlapping crops of the frame are
    embedded, a cell each: as many passes, and the mean of the cells is only near the frame's own vector.

    Raises:
        Rejected: a frame cannot be decoded, or the encoder has no finite answer to it.
        NotFound: there is no such frame.
    """
    indices = tuple(number - 1 for number in frame_numbers)
    if any(index < 0 for index in indices):
        raise NotFound("Frames are counted from 1.")
    if encoder.has_cells:
        return tuple(_of_covered(encoder, c) for c in covered_frames(encoder, decoders, path, indices))
    wanted = encoder.card.input.preprocessing
    call = decoders.submit(crop_frames, path, indices, wanted, CROPS, decoders.limits)
    return tuple(_of_crops(encoder, crops) for crops in decoders.result(call))


def rendered_map(encoder: OnnxEncoder, rendered: Pixels) -> FeatureMap:
    """The feature map of one rendered frame, float32 in [0, 1], in the same way. Raises Rejected."""
    wanted = encoder.card.input.preprocessing
    if encoder.has_cells:
        return _of_covered(encoder, cover(rendered, wanted))
    return _of_crops(encoder, crop(rendered, wanted, CROPS))


def covered_frames(
    encoder: OnnxEncoder, decoders: Decoders, path: Path, frame_indices: tuple[int, ...]
) -> tuple[CoveredFrame, ...]:
    """Frames (0-based) as the encoder's input. Raises Rejected, NotFound."""
    wanted = encoder.card.input.preprocessing
    call = decoders.submit(cover_frames, path, frame_indices, wanted, decoders.limits)
    return decoders.result(call)


def averaged(cells: Vector, rows: int, columns: int) -> Vector:
    """Cells averaged down to so many rows and columns, by overlap; the mean of all stays as it was.

    Args:
        cells: float32 (r, c, d) with r >= rows and c >= columns.
        rows: of the result.
        columns: of the result.
    """
    down, across = _shares(cells.shape[0], rows), _shares(cells.shape[1], columns)
    return np.asarray(np.einsum("yr,rcd,xc->yxd", down, cells, across, optimize=True), dtype=np.float32)


def _shares(many: int, few: int) -> Vector:
    """How much of each of `few` equal parts of a side lies in each of `many`: rows that sum to 1."""
    edges, ends = np.arange(many + 1) / many, np.arange(few + 1)[:, None] / few
    overlap = np.minimum(ends[1:], edges[1:]) - np.maximum(ends[:-1], edges[:-1])
    return np.asarray(np.clip(overlap, 0, None) * few, dtype=np.float32)


def _of_covered(encoder: OnnxEncoder, covered: CoveredFrame) -> FeatureMap:
    return _map(encoder, encoder.cells(covered.pixels[None])[0], covered.area)


def _of_crops(encoder: OnnxEncoder, crops: Crops) -> FeatureMap:
    return _map(encoder, np.stack([encoder.encode(row) for row in crops.pixels]), WHOLE_FRAME)


def _map(encoder: OnnxEncoder, cells: Vector, area: Region) -> FeatureMap:
    if not np.isfinite(cells).all() or not cells.any():
        raise Rejected("The encoder has no vector for the frame.", reason=DEGENERATE)
    rows, columns = (min(side, MOST_CELLS) for side in cells.shape[:2])
    if (rows, columns) != cells.shape[:2]:
        cells = averaged(cells, rows, columns)
    return FeatureMap(encoder=encoder.version, cells=cells, area=area)
