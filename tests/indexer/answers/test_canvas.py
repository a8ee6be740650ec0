from __future__ import annotations

import numpy as np
import pytest

from indexer.answers.canvas import GROUND, REGULAR, SMALLEST, STRONG, Box, Canvas
from indexer.answers.sheet_frame import WIDTH

SCREEN = 1024
LEAST = 11


@pytest.mark.parametrize("weight", [REGULAR, STRONG])
def test_every_text_is_high_enough_on_a_screen_of_1024_pixels(weight: int) -> None:
    """However little room there is, and however small it was asked for: accent to descender is read."""
    for width in (None, 60):
        canvas = Canvas(400, 100)
        canvas.text(10, 60, "Égalité", 5, weight=weight, width=width)
        rows, _ = np.nonzero((canvas.pixels != GROUND).any(axis=2))
        assert rows.max() - rows.min() + 1 >= LEAST * WIDTH / SCREEN
    assert SMALLEST >= LEAST * WIDTH / SCREEN


def test_a_text_is_broken_into_lines_that_fit() -> None:
    canvas, text = Canvas(1, 1), "more alike than 96 % of pairs of this modality"
    lines = canvas.wrapped(text, 26, 300)
    assert " ".join(lines) == text
    assert len(lines) > 1
    assert all(canvas.width_of(line, 26) <= 300 for line in lines)


def test_a_text_without_words_takes_no_line() -> None:
    canvas = Canvas(100, 100)
    for text in ("", " ", "\n\N{NO-BREAK SPACE}"):
        assert canvas.wrapped(text, 26, 100) == []
        assert canvas.paragraph(0, 50, text, 26, width=100) == 50


def test_what_is_dimmed_keeps_half_of_its_light() -> None:
    canvas = Canvas(4, 4)
    canvas.fill(Box(0, 0, 4, 4), (200, 100, 50))
    canvas.dim(Box(0, 0, 2, 4))
    assert (canvas.pixels[:, :2] == (100, 50, 25)).all()
    assert (canvas.pixels[:, 2:] == (200, 100, 50)).all()
