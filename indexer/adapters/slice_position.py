"""Where a slice lies along the normal of its own plane."""

from __future__ import annotations

import math
from collections.abc import Sequence


def position_mm(position: Sequence[float], orientation: Sequence[float]) -> float | None:
    """Project an Image Position (Patient) on the slice normal.

    Args:
        position: (0020,0032), 3 numbers in mm.
        orientation: (0020,0037), the direction cosines of a row and of a column, 6 numbers.

    Returns:
        mm; None where the numbers are missing, not finite, or span no plane.

    Source:
        DICOM PS3.3 C.7.6.2.1.1.
    """
    if len(position) != 3 or len(orientation) != 6:
        return None
    if not all(math.isfinite(number) for number in (*position, *orientation)):
        return None
    (rx, ry, rz), (cx, cy, cz) = orientation[:3], orientation[3:]
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    length = math.hypot(*normal)
    if not 0 < length < math.inf:
        return None
    projected = sum(p * n for p, n in zip(position, normal, strict=True)) / length
    return projected if math.isfinite(projected) else None
