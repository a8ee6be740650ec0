"""Rectangles over the cells of a feature map: what an encoder saw inside each, and which is most alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.domain import FeatureMap, Region, Vector

SCALES: Final = (0.75, 1.0, 4 / 3)
"""Sizes of a window, as parts of the size that is looked for."""
STEPS_A_CELL: Final = 2
MOST_STEPS: Final = 64
"""Along each side of the frame."""
_SMALLEST_NORM: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Sight:
    """What an encoder saw in a part of a frame, beside the whole of it.

    `inside` and `whole` are float32 (d,): the mean of the cells in the part, weighted by how much of each
    lies in it, and the mean of all cells.
    """

    inside: Vector
    whole: Vector


@dataclass(frozen=True, slots=True)
class Found:
    """The window most alike: its place in the frame, and the cosine in [-1, 1]."""

    place: Region
    score: float


def sight_of(seen: FeatureMap, part: Region) -> Sight | None:
    """What was seen in a part of the frame; None where the encoder looked at nothing of it."""
    rows, columns, _ = seen.cells.shape
    down = _weights(np.array([part.top]), part.height, seen.area.top, seen.area.height, rows)
    across = _weights(np.array([part.left]), part.width, seen.area.left, seen.area.width, columns)
    if not down.any() or not across.any():
        return None
    inside = np.einsum("r,c,rcd->d", down[0], across[0], seen.cells, optimize=True)
    return Sight(np.asarray(inside, dtype=np.float32), seen.cells.mean(axis=(0, 1)))


def best_window(seen: FeatureMap, wanted: Sight, size: Region) -> Found | None:
    """The window of about this size whose inside is most like what is wanted.

    Windows of the `SCALES` of the size, no smaller than a cell, slide over the part of the frame that the
    cells cover by half a cell. The place is that of the largest cosine after the mean of its frame was
    taken off each side, because what two frames have in common everywhere says nothing of a place; the
    score is the mean of that cosine and of the plain one.

    Args:
        seen: of the frame that is looked at.
        wanted: of the part that is looked for.
        size: width and height count, in fractions of its own frame.

    Returns:
        None where the encoder looked at nothing of the frame.
    """
    best: Found | None = None
    for tops, lefts, height, width in _grids(seen, size):
        inside = _insides(seen, tops, lefts, height, width)
        scores = _likeness(inside, seen.cells.mean(axis=(0, 1)), wanted)
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        score = float(scores[row, column])
        if best is None or score > best.score:
            best = Found(Region(float(lefts[column]), float(tops[row]), width, height), score)
    return best


def _likeness(inside: Vector, whole: Vector, wanted: Sight) -> Vector:
    plain = _cosines(inside, wanted.inside)
    apart = wanted.inside - wanted.whole
    if np.linalg.norm(apart) <= _SMALLEST_NORM * max(float(np.linalg.norm(wanted.inside)), _SMALLEST_NORM):
        return plain  # the whole frame is looked for: there is nothing that sets it apart
    return np.asarray((plain + _cosines(inside - whole, apart)) / 2, dtype=np.float32)


def _cosines(rows: Vector, vector: Vector) -> Vector:
    norms = np.linalg.norm(rows, axis=-1) * np.linalg.norm(vector)
    return np.asarray(
        np.where(norms > _SMALLEST_NORM, rows @ vector / np.maximum(norms, _SMALLEST_NORM), 0.0)
    )


def _grids(seen: FeatureMap, size: Region) -> Iterator[tuple[Vector, Vector, float, float]]:
    """Tops and lefts, height and width of the windows of each scale."""
    area, (rows, columns, _) = seen.area, seen.cells.shape
    down, across = _inside(area.top, area.height), _inside(area.left, area.width)
    if down[1] <= down[0] or across[1] <= across[0]:
        return
    for scale in SCALES:
        height, tops = _starts(down, size.height * scale, area.height / rows)
        width, lefts = _starts(across, size.width * scale, area.width / columns)
        yield tops, lefts, height, width


def _inside(start: float, length: float) -> tuple[float, float]:
    """What is covered of a side of the frame."""
    return max(start, 0.0), min(start + length, 1.0)


def _starts(span: tuple[float, float], wanted: float, cell: float) -> tuple[float, Vector]:
    """The length of a window, and where it begins, at each step over the span."""
    length = min(max(wanted, cell), span[1] - span[0])
    room = span[1] - span[0] - length
    steps = min(int(np.ceil(room / cell * STEPS_A_CELL)) + 1, MOST_STEPS)
    return length, np.linspace(span[0], span[0] + room, steps, dtype=np.float32)


def _insides(seen: FeatureMap, tops: Vector, lefts: Vector, height: float, width: float) -> Vector:
    """The mean of the cells in each window: float32 (tops, lefts, d)."""
    rows, columns, _ = seen.cells.shape
    down = _weights(tops, height, seen.area.top, seen.area.height, rows)
    across = _weights(lefts, width, seen.area.left, seen.area.width, columns)
    means = np.einsum("yr,rcd,xc->yxd", down, seen.cells, across, optimize=True)
    return np.asarray(means, dtype=np.float32)


def _weights(starts: Vector, length: float, origin: float, extent: float, cells: int) -> Vector:
    """How much of each cell along a side lies in [start, start + length]: rows that sum to 1, or are 0."""
    edges = origin + np.arange(cells + 1) / cells * extent
    begins, ends = starts[:, None], starts[:, None] + length
    overlap = np.clip(np.minimum(ends, edges[1:]) - np.maximum(begins, edges[:-1]), 0, None)
    total = overlap.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(overlap, total, out=np.zeros_like(overlap), where=total > 0))
