"""A contact sheet as a picture for a page: narrower, and of few colours."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from pydicom.dataset import Dataset

from indexer.answers.canvas import ACCENT, ALARM, COOL, GROUND, INK, PANEL, QUIET, WARM

KEPT_WIDTH = 1400
GREYS = [(level, level, level) for level in range(0, 256, 3)]
TINTED = [
    tuple(round(level * (1 - share) + warm * share) for warm in WARM)
    for share in (0.07, 0.14, 0.22)
    for level in range(0, 256, 8)
]
DRAWN = [
    tuple(
        round(level * step / 10 + ground * (1 - step / 10))
        for level, ground in zip(colour, GROUND, strict=True)
    )
    for colour in (WARM, ACCENT, COOL, ALARM, INK, QUIET, PANEL)
    for step in range(1, 11)
]
PALETTE = [level for colour in [GROUND, *GREYS, *TINTED, *DRAWN][:256] for level in colour]
"""Greys of the pictures, and what is drawn over them: an average would wash the few colours out."""


def keep(sheet: Dataset, path: Path) -> None:
    """Small enough for a page: narrower, and of few colours."""
    picture = Image.fromarray(sheet.pixel_array)
    height = round(picture.height * KEPT_WIDTH / picture.width)
    small = picture.resize((KEPT_WIDTH, height), Image.Resampling.LANCZOS)
    palette = Image.new("P", (1, 1))
    palette.putpalette(bytes(PALETTE))
    small.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < 2**20
