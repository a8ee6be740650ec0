"""A dark sheet to draw on: text, pictures, soft contours, rectangles and bars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.answers.illustrations import Pixels
from indexer.domain import MatchMap, Region

Colour = tuple[int, int, int]

GROUND: Final[Colour] = (13, 16, 21)
PANEL: Final[Colour] = (38, 44, 54)
INK: Final[Colour] = (232, 237, 243)
QUIET: Final[Colour] = (152, 163, 178)
ACCENT: Final[Colour] = (112, 206, 196)
WARM: Final[Colour] = (255, 190, 92)
COOL: Final[Colour] = (96, 196, 255)
ALARM: Final[Colour] = (255, 138, 112)

_BREAKS: Final = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")

SMALLEST: Final = 22
REGULAR: Final = 400
STRONG: Final = 600
_LEVEL: Final = 0.5
_TINT: Final = 0.22


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the sheet in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """One past the last column."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """One past the last row."""
        return self.top + self.height

    def part(self, region: Region) -> Box:
        """The pixels that a part of what fills this box covers."""
        return Box(
            self.left + round(region.left * self.width),
            self.top + round(region.top * self.height),
            max(1, round(region.width * self.width)),
            max(1, round(region.height * self.height)),
        )


class Canvas:
    """uint8 RGB (rows, columns, 3); the origin is the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        """An empty sheet."""
        self.pixels: Pixels = np.full((height, width, 3), GROUND, dtype=np.uint8)
        # OpenCV's own variable font: any weight, and all of Latin; Pillow's has no accents.
        self._font = cv2.FontFace("sans")

    def width_of(self, text: str, size: int, weight: int = REGULAR) -> int:
        """How wide a text would be, in pixels."""
        _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._font, size, weight)
        return int(width)

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    def wrapped(self, text: str, size: int, width: int, weight: int = REGULAR) -> list[str]:
        """The lines that a text of this size takes, none for an empty one; a wider word stands alone.

        A no-break space is no place to break.
        """
        lines: list[str] = []
        for word in filter(None, _BREAKS.split(text.strip())):
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width_of(longer, size, weight) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def text(
        self,
        left: int,
        baseline: int,
        text: str,
        size: int,
        *,
        colour: Colour = INK,
        weight: int = REGULAR,
        width: int | None = None,
    ) -> int:
        """Write on one line, smaller or cut where it is wider than `width`. Returns where it ends.

        Nothing is written smaller than `SMALLEST`: half of that is left on a screen of 1024 pixels.
        """
        size = max(size, SMALLEST)
        while width is not None and size > SMALLEST and self.width_of(text, size, weight) > width:
            size -= 1
        shown = text if width is None else self._cut(text, size, weight, width)
        if shown:
            cv2.putText(self.pixels, shown, (left, baseline), colour, self._font, size, weight)
        return left + self.width_of(shown, size, weight)

    def paragraph(
        self,
        left: int,
        baseline: int,
        text: str,
        size: int,
        *,
        width: int,
        colour: Colour = INK,
        weight: int = REGULAR,
        lines: int = 8,
    ) -> int:
        """Write on as many lines as it takes, at most `lines`. Returns the baseline after the last."""
        wrapped = self.wrapped(text, size, width, weight)
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], " ".join(wrapped[lines - 1 :])]
        for line in wrapped:
            self.text(left, baseline, line, size, colour=colour, weight=weight, width=width)
            baseline += round(size * 1.4)
        return baseline

    def fill(self, box: Box, colour: Colour) -> None:
        """Paint a rectangle."""
        self.pixels[box.top : box.bottom, box.left : box.right] = colour

    def outline(self, box: Box, colour: Colour, thickness: int = 4) -> None:
        """The border of a rectangle, dark outside and inside, so that it shows on white too."""
        for width, shade in ((thickness + 4, (0, 0, 0)), (thickness, colour)):
            cv2.rectangle(
                self.pixels,
                (box.left, box.top),
                (box.right - 1, box.bottom - 1),
                shade,
                width,
                cv2.LINE_AA,
            )

    def dim(self, box: Box) -> None:
        """Leave half of the light, for what is only beside the point."""
        area = self.pixels[box.top : box.bottom, box.left : box.right]
        area[...] = area // 2

    def bar(self, box: Box, share: float, colour: Colour) -> None:
        """A bar of which `share` in [0, 1] is filled."""
        self.fill(box, PANEL)
        self.fill(Box(box.left, box.top, round(box.width * min(max(share, 0.0), 1.0)), box.height), colour)

    def chip(self, left: int, bottom: int, text: str, size: int, colour: Colour, width: int) -> None:
        """A short text on a dark ground, over a picture."""
        while size > SMALLEST and self.width_of(text, size, STRONG) > width - size:
            size -= 1
        shown = self._cut(text, size, STRONG, width - size)
        box = Box(
            left, bottom - round(size * 1.7), self.width_of(shown, size, STRONG) + size, round(size * 1.7)
        )
        self.fill(box, GROUND)
        self.text(left + size // 2, bottom - round(size * 0.5), shown, size, colour=colour, weight=STRONG)

    def picture(self, box: Box, pixels: Pixels) -> Box:
        """Fit a picture into a box on black, never cut. Returns the part of the box that it fills."""
        self.fill(box, (0, 0, 0))
        rows, columns = pixels.shape[:2]
        scale = min(box.width / columns, box.height / rows)
        width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        placed = Box(box.left + (box.width - width) // 2, box.top + (box.height - height) // 2, width, height)
        self.pixels[placed.top : placed.bottom, placed.left : placed.right] = cv2.resize(
            np.ascontiguousarray(pixels), (width, height), interpolation=how
        )
        return placed

    def contour(self, placed: Box, alike: MatchMap) -> None:
        """Where a picture looks like another: a warm line around it, and a breath of colour inside."""
        level = _spread(alike, placed.width, placed.height)
        steepness = np.hypot(*np.gradient(level))
        away = np.abs(level - _LEVEL) / np.maximum(steepness, 1e-4)
        tint = _TINT * np.clip((level - _LEVEL) / (1 - _LEVEL), 0, 1)
        area = self.pixels[placed.top : placed.bottom, placed.left : placed.right]
        for colour, strength in (
            ((0, 0, 0), np.clip(4.5 - away, 0, 1) * 0.55),
            (WARM, np.maximum(np.clip(2.2 - away, 0, 1) * 0.9, tint)),
        ):
            area[...] = np.rint(
                area * (1 - strength[..., None]) + np.array(colour, np.float32) * strength[..., None]
            ).astype(np.uint8)

    def _cut(self, text: str, size: int, weight: int, width: int) -> str:
        if self.width_of(text, size, weight) <= width:
            return text
        while text and self.width_of(f"{text}…", size, weight) > width:
            text = text[:-1].rstrip()
        return f"{text}…" if text else ""


def _spread(alike: MatchMap, width: int, height: int) -> NDArray[np.float32]:
    """The map over a whole picture of this size, float32 (height, width); 0 beyond what it covers."""
    rows, columns = alike.values.shape
    area = alike.area
    across = ((np.arange(width) + 0.5) / width - area.left) / area.width
    down = ((np.arange(height) + 0.5) / height - area.top) / area.height
    x, y = np.meshgrid(across * columns - 0.5, down * rows - 0.5)
    spread = cv2.remap(
        np.asarray(alike.values, dtype=np.float32),
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    spread = cv2.GaussianBlur(spread, (0, 0), max(width / columns / 4, 1.0))
    inside = (across >= 0) & (across <= 1), (down >= 0) & (down <= 1)
    return np.asarray(np.clip(spread, 0, 1) * np.outer(inside[1], inside[0]), dtype=np.float32)
