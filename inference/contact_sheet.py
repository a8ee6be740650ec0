"""Contact sheets of a folder: what the encoder is shown of every file, and why of some files nothing.

    python -m inference.contact_sheet FOLDER OUT.png

The sheets show patients, and the names of files may name them: they are for looking at, not for passing on.
"""

from __future__ import annotations

import io
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from indexer.errors import Rejected
from inference.decoders import Decoders
from inference.frames import render, summarise
from inference.limits import Limits

COLUMNS: Final = 8
ROWS: Final = 5
SIDE: Final = 224
"""Pixels of the longer side of a picture."""

_CAPTION_PIXELS: Final = 34
_MARGIN_PIXELS: Final = 4
_FONT_PIXELS: Final = 12
_NAME_LETTERS: Final = 35
_PAPER: Final = (48, 48, 64)
_INK: Final = (255, 255, 255)
_REFUSED_INK: Final = (255, 176, 96)


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: a PNG of its key frame, if there is one; `name` is its path in the folder.

    The caption of what is not indexed (`refused`) is the reason, be there a picture (no UIDs) or not.
    """

    name: str
    caption: str
    png: bytes | None
    refused: bool


def tiles(folder: Path, decoders: Decoders, side: int = SIDE) -> Iterator[Tile]:
    """One tile for each file below the folder, in the order of the paths.

    The key frame is the middle one, `number_of_frames // 2` counted from 0, as sampling takes it; the
    first where the header does not say.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    summaries = [decoders.submit(summarise, path, decoders.limits) for path in paths]
    for path, summary in zip(paths, summaries, strict=True):
        name, frame_index, refused = path.relative_to(folder).as_posix(), 0, ""
        try:
            found = decoders.result(summary)
        except Rejected as refusal:
            caption = refused = refusal.reason
        else:
            frame_index = found.number_of_frames // 2
            modality = found.attributes.modality or "no modality"
            caption = f"{modality}, frame {frame_index + 1} of {found.number_of_frames}"
        try:
            png = decoders.result(decoders.submit(render, path, frame_index, side, decoders.limits))
        except Rejected as refusal:
            yield Tile(name, refused or refusal.reason, None, refused=True)
        else:
            yield Tile(name, caption, png, refused=bool(refused))


def sheets(shown: Sequence[Tile]) -> Iterator[Image.Image]:
    """Pages of `COLUMNS` x `ROWS` tiles."""
    a_page = COLUMNS * ROWS
    for first in range(0, len(shown), a_page):
        yield _sheet(shown[first : first + a_page])


def save_sheets(pages: Iterator[Image.Image], out: Path) -> list[Path]:
    """Write OUT-1.png, OUT-2.png and so on beside `out`; returns their paths."""
    written = []
    for number, page in enumerate(pages, start=1):
        path = out.with_name(f"{out.stem}-{number}.png")
        page.save(path, format="PNG")
        written.append(path)
    return written


def _sheet(shown: Sequence[Tile]) -> Image.Image:
    width, height = SIDE + _MARGIN_PIXELS, SIDE + _CAPTION_PIXELS
    lines = -(-len(shown) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width + _MARGIN_PIXELS, lines * height + _MARGIN_PIXELS), _PAPER)
    for place, tile in enumerate(shown):
        corner = (
            _MARGIN_PIXELS + place % COLUMNS * width,
            _MARGIN_PIXELS + place // COLUMNS * height,
        )
        _put(page, tile, corner)
    return page


def _put(page: Image.Image, tile: Tile, corner: tuple[int, int]) -> None:
    draw, (left, top) = ImageDraw.Draw(page), corner
    if tile.png is not None:
        with Image.open(io.BytesIO(tile.png)) as picture:
            page.paste(picture.convert("RGB"), (left, top))
    font = ImageFont.load_default(_FONT_PIXELS)
    ink = _REFUSED_INK if tile.refused else _INK
    draw.text((left, top + SIDE), tile.name[-_NAME_LETTERS:], fill=_INK, font=font)
    draw.text((left, top + SIDE + _FONT_PIXELS + 2), tile.caption, fill=ink, font=font)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheets of a folder, and say where they are."""
    parser = ArgumentParser(prog="python -m inference.contact_sheet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="OUT.png becomes OUT-1.png, OUT-2.png and so on")
    wanted = parser.parse_args(arguments)
    with Decoders(Limits()) as decoders:
        written = save_sheets(sheets(list(tiles(wanted.folder, decoders))), wanted.out)
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
