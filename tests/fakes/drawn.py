"""Reads what is drawn on a contact sheet: whether a text stands on it, letter by letter."""

from __future__ import annotations

import cv2
import numpy as np

from indexer.answers.canvas import GROUND, INK, REGULAR, Box, Canvas, Colour
from indexer.answers.illustrations import Pixels
from indexer.answers.sheet_example import OUTCOME_SIDE, REFUSAL_SIZE
from indexer.answers.sheet_frame import GUTTER, MARGIN, WIDTH

BESIDE = WIDTH - 2 * MARGIN - OUTCOME_SIDE - GUTTER
"""How wide the text beside the example is where there is no case to show."""


def is_drawn(
    sheet: Pixels,
    text: str,
    size: int,
    *,
    colour: Colour = INK,
    weight: int = REGULAR,
    width: int = WIDTH,
    ground: Colour = GROUND,
) -> bool:
    """Whether a text of this look, on as many lines as it takes, stands somewhere on the sheet."""
    lines = Canvas(1, 1).wrapped(text, size, width, weight)
    return bool(lines) and all(_is_seen(sheet, _line(line, size, colour, weight, ground)) for line in lines)


def says_why(sheet: Pixels, sentence: str) -> bool:
    """Whether a sentence stands beside the example, as large as a refusal is written."""
    beside = sheet[:, MARGIN + OUTCOME_SIDE :]
    return is_drawn(beside, sentence, REFUSAL_SIZE, width=BESIDE)


def _line(text: str, size: int, colour: Colour, weight: int, ground: Colour) -> Pixels:
    canvas = Canvas(WIDTH, 4 * size)
    canvas.fill(Box(0, 0, WIDTH, canvas.height), ground)
    canvas.text(size, 2 * size, text, size, colour=colour, weight=weight)
    rows, columns = np.nonzero((canvas.pixels != canvas.pixels[0, 0]).any(axis=2))
    return canvas.pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _is_seen(sheet: Pixels, text: Pixels) -> bool:
    red, wanted = np.ascontiguousarray(sheet[..., 0]), np.ascontiguousarray(text[..., 0])
    far = cv2.matchTemplate(red, wanted, cv2.TM_SQDIFF_NORMED)
    row, column = np.unravel_index(int(far.argmin()), far.shape)
    seen = sheet[row : row + text.shape[0], column : column + text.shape[1]]
    return bool(np.array_equal(seen, text))
