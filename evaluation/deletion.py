"""Deletion and insertion: how alike a frame stays while its patches are taken away, or are given back."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.embedding import BATCH_SIZE
from indexer.domain import Region, Vector
from inference.covered import CoveredFrame
from inference.encoder import OnnxEncoder
from inference.occlusion import PATCHES, frame_inside
from inference.preprocess import Pixels

STEPS: Final = 12

Curve = NDArray[np.float64]
Patches = NDArray[np.intp]


def patches_of(area: Region) -> Patches:
    """The patches, counted row by row, whose middle shows the frame and no bar beside it."""
    middles = (np.arange(PATCHES) + 0.5) / PATCHES
    down, across = area.top + middles * area.height, area.left + middles * area.width
    inside = ((down > 0) & (down < 1))[:, None] & ((across > 0) & (across < 1))[None, :]
    return np.flatnonzero(inside)


def deletion_and_insertion(
    encoder: OnnxEncoder, frame: CoveredFrame, vector: Vector, order: Patches
) -> tuple[Curve, Curve]:
    """How alike a frame is to a vector while its patches go, and while they come, in an order.

    Args:
        encoder: of the frame.
        frame: as the model takes it.
        vector: float32 (d,), unit, of what it is compared with.
        order: patches, the first to go (and to come) first.

    Returns:
        float64 (STEPS + 1,) cosines each.

    Source:
        Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC
        2018, section 3.
    """
    counts = [round(step * len(order) / STEPS) for step in range(STEPS + 1)]
    frames = [_without(frame, order[:count]) for count in counts]
    frames += [_without(frame, order[count:]) for count in counts]
    batches = [
        encoder.encode(np.stack(frames[start : start + BATCH_SIZE])) @ vector
        for start in range(0, len(frames), BATCH_SIZE)
    ]
    likeness = np.concatenate(batches).astype(np.float64)
    return likeness[: STEPS + 1], likeness[STEPS + 1 :]


def _without(frame: CoveredFrame, patches: Patches) -> Pixels:
    """The model's input with these patches filled with the frame's mean."""
    _, height, width = frame.pixels.shape
    inside = frame_inside(frame.area, height, width)
    chosen = np.zeros(PATCHES * PATCHES, dtype=bool)
    chosen[patches] = True
    row, column = (np.minimum(np.arange(side) * PATCHES // side, PATCHES - 1) for side in (height, width))
    covered = np.zeros((height, width), dtype=bool)
    covered[inside] = chosen.reshape(PATCHES, PATCHES)[np.ix_(row, column)][inside]
    mean = frame.pixels[:, inside[0], inside[1]].mean(axis=(1, 2))
    return np.where(covered, mean[:, None, None], frame.pixels).astype(np.float32)
