"""Retrieval grids: queries with the images that they find, framed by whether these are right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from evaluation.ranking import Names
from inference.preprocess import Pixels

TILE: Final = 132
GAP: Final = 10
FRAME: Final = 3
CAPTION: Final = 20
GROUND: Final = (11, 13, 16)
TEXT: Final = (230, 233, 237)
MUTED: Final = (151, 161, 174)
RIGHT: Final = (111, 207, 151)
WRONG: Final = (255, 139, 123)
_LONGEST: Final = 20
_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Tile:
    """One image with its label; `is_right` is None for a query."""

    pixels: Pixels
    label: str
    is_right: bool | None = None


def retrieval_grid(rows: Sequence[Sequence[Tile]]) -> bytes:
    """Draw a row for each query: the query, then what it finds, nearest first; a PNG.

    A frame is green where the label is the query's, red where it is not.
    """
    columns = max(len(row) for row in rows)
    width = GAP * 2 + columns * (TILE + GAP) + GAP
    height = GAP + CAPTION + len(rows) * (TILE + CAPTION + GAP)
    canvas = Image.new("RGB", (width, height), GROUND)
    draw, font = ImageDraw.Draw(canvas), _font()
    draw.text((GAP, GAP), "query", MUTED, font)
    draw.text((_left(1), GAP), "nearest images of other subjects", MUTED, font)
    for down, row in enumerate(rows):
        top = GAP + CAPTION + down * (TILE + CAPTION + GAP)
        for right, tile in enumerate(row):
            _draw(canvas, draw, font, tile, (_left(right), top))
    png = io.BytesIO()
    canvas.save(png, format="PNG", optimize=True)
    return png.getvalue()


def typical_queries(label: Names, good: NDArray[np.float64], count: int = 6) -> list[int]:
    """Queries to show: of each label in turn one that fares as its label does in the middle, none picked.

    Args:
        label: (n,).
        good: (n,) precision of each query.
        count: how many.
    """
    turns = []
    for name in np.unique(label):
        own = np.flatnonzero(label == name)
        away = np.abs(good[own] - np.median(good[own]))
        turns.append(own[np.argsort(away, kind="stable")].tolist())
    turns.sort(key=len, reverse=True)
    longest = max(len(turn) for turn in turns)
    return [turn[place] for place in range(longest) for turn in turns if place < len(turn)][:count]


def _left(column: int) -> int:
    """The query stands a little apart."""
    return GAP + column * (TILE + GAP) + (GAP if column else 0)


def _draw(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    tile: Tile,
    at: tuple[int, int],
) -> None:
    left, top = at
    inner = TILE - 2 * FRAME
    picture = Image.fromarray(np.rint(tile.pixels * _WHITE).astype(np.uint8)).convert("RGB")
    picture.thumbnail((inner, inner), Image.Resampling.LANCZOS)
    if picture.width < inner and picture.height < inner:
        scale = inner / max(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    colour = {None: MUTED, True: RIGHT, False: WRONG}[tile.is_right]
    draw.rounded_rectangle((left, top, left + TILE - 1, top + TILE - 1), 6, (0, 0, 0), colour, FRAME)
    canvas.paste(picture, (left + (TILE - picture.width) // 2, top + (TILE - picture.height) // 2))
    draw.rounded_rectangle((left, top, left + TILE - 1, top + TILE - 1), 6, None, colour, FRAME)
    name = tile.label.replace("|", " ").replace("_", " ")
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    draw.text((left + 2, top + TILE + 2), short, TEXT if tile.is_right is None else colour, font)


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 11)
