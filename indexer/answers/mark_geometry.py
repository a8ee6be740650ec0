"""Shapes of the standard as rectangles on a frame, in fractions of its width and height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from indexer.answers.disclosure import disclosure_of
from indexer.domain import Region

SMALLEST: Final = 0.02
"""Of a region: a mark that is thinner is asked about with its surroundings."""
AROUND_A_POINT: Final = 0.1
"""A point stands for a square of this part of the frame's shorter side."""
MOST_POINTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a frame, in pixels."""

    rows: int
    columns: int

    @classmethod
    def read(cls, path: Path) -> Frame:
        """From a DICOM file. Raises Rejected when it does not say."""
        found = disclosure_of(path)
        return cls(found.rows, found.columns)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rectangle around a shape, in the units of its source; `is_point` says that it has no extent."""

    left: float
    top: float
    right: float
    bottom: float
    is_point: bool = False

    def region(self) -> Region:
        """Fractions of a frame as a region that lies inside it and is not empty."""
        left, right = _inside(self.left, self.right)
        top, bottom = _inside(self.top, self.bottom)
        return Region(left, top, right - left, bottom - top)


def bounds_of(graphic_type: str, data: Sequence[float]) -> Bounds | None:
    """The rectangle around a shape; None for one of a kind or with data that the standard does not know.

    Args:
        graphic_type: POINT, MULTIPOINT, POLYLINE, INTERPOLATED, CIRCLE or ELLIPSE.
        data: column and row of each point, in turn.

    Source:
        DICOM PS3.3 C.10.5.2, C.18.6.1.2 (Graphic Type): a circle by its centre and a point on it, an
        ellipse by the ends of its axes.
    """
    numbers = [float(number) for number in data[: 2 * MOST_POINTS]]
    if len(numbers) < 2 or len(numbers) % 2 or not all(math.isfinite(number) for number in numbers):
        return None
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    if graphic_type == "CIRCLE" and len(points) == 2:
        (x, y), on = points
        radius = math.dist((x, y), on)
        return Bounds(x - radius, y - radius, x + radius, y + radius, is_point=radius == 0)
    if graphic_type == "ELLIPSE" and len(points) == 4:
        return _around_ellipse(points)
    if graphic_type in ("POINT", "MULTIPOINT", "POLYLINE", "INTERPOLATED"):
        across, down = [x for x, _ in points], [y for _, y in points]
        box = Bounds(min(across), min(down), max(across), max(down))
        is_point = box.left == box.right and box.top == box.bottom
        return Bounds(box.left, box.top, box.right, box.bottom, is_point)
    return None


def of_pixels(bounds: Bounds, frame: Frame) -> Bounds:
    """Pixels from the top left corner of the frame as fractions of it."""
    return _grown(
        Bounds(
            bounds.left / frame.columns,
            bounds.top / frame.rows,
            bounds.right / frame.columns,
            bounds.bottom / frame.rows,
            bounds.is_point,
        ),
        frame,
    )


def of_display(bounds: Bounds, frame: Frame, area: Dataset | None, rotation: int) -> Bounds:
    """Fractions of what is displayed as fractions of the frame.

    The corners of a displayed area are pixels of the frame as it is stored, counted from 1; the top left one
    is that which is displayed there, so that they tell turns by 180 degrees and flips by themselves.

    Args:
        bounds: of a shape, in fractions of the display.
        frame: that is displayed.
        area: the item of the Displayed Area Selection Sequence; None displays all of the frame.
        rotation: degrees clockwise, (0070,0042).

    Source:
        DICOM PS3.3 C.10.4 (Displayed Area), C.10.6 (Spatial Transformation).
    """
    left, top, right, bottom = _displayed(frame, area)
    corners = []
    for u, v in ((bounds.left, bounds.top), (bounds.right, bounds.bottom)):
        across, down = (v, u) if rotation % 180 == 90 else (u, v)
        corners.append((left + across * (right - left), top + down * (bottom - top)))
    (x1, y1), (x2, y2) = corners
    placed = Bounds(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), bounds.is_point)
    return of_pixels(placed, frame)


def _displayed(frame: Frame, area: Dataset | None) -> tuple[float, float, float, float]:
    """Where the display begins and ends on the frame, in pixels from its corner; it may run backwards."""
    if area is None:
        return 0.0, 0.0, float(frame.columns), float(frame.rows)
    (x1, y1), (x2, y2) = area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner
    left, right = (x1 - 1, x2) if x1 <= x2 else (x1, x2 - 1)
    top, bottom = (y1 - 1, y2) if y1 <= y2 else (y1, y2 - 1)
    return float(left), float(top), float(right), float(bottom)


def _around_ellipse(points: Sequence[tuple[float, float]]) -> Bounds:
    """By the two half axes a and b, the ellipse reaches sqrt(a_x^2 + b_x^2) to the side of its centre."""
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = points
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    width, height = math.hypot(x2 - x1, x4 - x3) / 2, math.hypot(y2 - y1, y4 - y3) / 2
    return Bounds(x - width, y - height, x + width, y + height, is_point=width == height == 0)


def _grown(bounds: Bounds, frame: Frame) -> Bounds:
    """A point becomes a square around it."""
    if not bounds.is_point:
        return bounds
    side = AROUND_A_POINT * min(frame.rows, frame.columns) / 2
    across, down = side / frame.columns, side / frame.rows
    return Bounds(bounds.left - across, bounds.top - down, bounds.right + across, bounds.bottom + down)


def _inside(start: float, end: float) -> tuple[float, float]:
    """Within [0, 1], and at least `SMALLEST` long."""
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    if end - start < SMALLEST:
        middle = min(max((start + end) / 2, SMALLEST / 2), 1 - SMALLEST / 2)
        start, end = middle - SMALLEST / 2, middle + SMALLEST / 2
    return start, end
