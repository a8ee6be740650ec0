"""Where two frames look like each other: what each cell of one adds to its likeness to the other."""

from __future__ import annotations

from typing import Final

import numpy as np

from indexer.domain import EncoderVersion, FeatureMap, MatchMap, Vector
from indexer.errors import Rejected

_SMALLEST_NORM: Final = 1e-12


class DifferentEncoders(Rejected):
    """What two encoders saw cannot be compared."""

    reason = "different_encoders"

    def __init__(self, one: EncoderVersion, other: EncoderVersion) -> None:
        """Name both."""
        super().__init__(
            f"{one} saw one frame and {other} the other: what two encoders saw cannot be compared."
        )


def contributions(one: FeatureMap, other: FeatureMap) -> tuple[Vector, Vector]:
    """What each cell adds to the cosine of two frames.

    The vector of a frame has the direction of the mean of its n cells, a = (1/n) sum_i a_i, so that
    cos(a, b) = sum_i <a_i, b> / (n |a| |b|): the cosine is a sum over the cells of one frame, exactly and
    without a gradient, and in the same way a sum over the cells of the other.

    Returns:
        float32 (rows, columns) of `one` and of `other`; each sums to the cosine of the two means. All
        zeros where a mean is zero.

    Raises:
        DifferentEncoders: two encoders saw the frames.

    Source:
        Stylianou, Souvenir and Pless, "Visualizing deep similarity networks", WACV 2019: average pooling,
        equations 1 and 2; the principle is that of Zhou et al., "Learning deep features for discriminative
        localization", CVPR 2016.
    """
    if one.encoder != other.encoder:
        raise DifferentEncoders(one.encoder, other.encoder)
    a, b = (frame.cells.astype(np.float64).mean(axis=(0, 1)) for frame in (one, other))
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    scale = 1 / norms if norms > _SMALLEST_NORM else 0.0
    return tuple(  # type: ignore[return-value]  # of two
        np.asarray(frame.cells @ mean * scale / np.prod(frame.cells.shape[:2]), dtype=np.float32)
        for frame, mean in ((one, b), (other, a))
    )


def match_maps(one: FeatureMap, other: FeatureMap) -> tuple[MatchMap, MatchMap]:
    """Where each of two frames looks like the other, from one pass over each.

    The `contributions`, of which those that speak against the likeness count as none, divided by the
    largest: 1 is the cell that adds most, 0 one that adds nothing. A cell in which the encoder sees much
    adds much, so that an empty ground stays dark. Errors as those of `contributions`.
    """
    first, second = contributions(one, other)
    return MatchMap(in_unit_range(first), one.area), MatchMap(in_unit_range(second), other.area)


def in_unit_range(values: Vector) -> Vector:
    """Values with what is below zero left out, divided by the largest; zeros where none is above zero."""
    kept = np.clip(values, 0, None)
    largest = float(kept.max(initial=0.0))
    return np.asarray(kept / largest if largest > 0 else kept, dtype=np.float32)
