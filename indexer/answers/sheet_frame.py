"""The frame of the contact sheet: its columns, the sizes of its words, and the heading of each part."""

from __future__ import annotations

from typing import Final

from indexer.answers.canvas import ACCENT, PANEL, QUIET, STRONG, WARM, Box, Canvas, Colour

WIDTH: Final = 2048
MARGIN: Final = 48
GUTTER: Final = 28
WITHIN: Final = WIDTH - 2 * MARGIN
COLUMNS: Final = 5
COLUMN: Final = (WITHIN - (COLUMNS - 1) * GUTTER) // COLUMNS

SIZE: Final = 26
"""Of all that has no size of its own."""
HEADING: Final = 58
"""How high a heading is."""


def heading(canvas: Canvas, top: int, text: str, *, colour: Colour = ACCENT, note: str = "") -> None:
    """What a part is, with a sentence on it, and a line to the right edge."""
    left = canvas.text(MARGIN, top + 36, text, 28, colour=colour, weight=STRONG)
    if note:
        room = WIDTH - MARGIN - left - 20
        left = canvas.text(left + 20, top + 36, note, SIZE, colour=WARM, width=room)
    canvas.fill(Box(left + 20, top + 26, max(WIDTH - MARGIN - left - 20, 0), 2), PANEL)


def blank(canvas: Canvas, box: Box, text: str) -> None:
    """A box without a picture, and why there is none."""
    canvas.fill(box, (0, 0, 0))
    canvas.outline(Box(box.left + 2, box.top + 2, box.width - 4, box.height - 4), PANEL, 2)
    canvas.paragraph(
        box.left + 28, box.top + box.height // 2, text, SIZE, width=box.width - 56, colour=QUIET, lines=4
    )
