"""The contact sheets of a folder: every file has its tile, with a picture or a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from inference import contact_sheet
from inference.contact_sheet import COLUMNS, ROWS, SIDE, sheets, tiles
from inference.decoders import Decoders
from tests.fakes.instance_file import instance, ramp, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, one without UIDs, one without pixels, and a text."""
    below = tmp_path / "study" / "series"
    below.mkdir(parents=True)
    write(instance(ramp(32, 16), Modality="CT"), below / "a.dcm")
    write(instance(StudyInstanceUID=None), below / "b.dcm")
    write(instance(Rows=0), below / "c.dcm")
    (below / "d.txt").write_text("no DICOM at all")
    return tmp_path / "study"


def test_every_file_has_a_tile_with_a_picture_or_its_reason(folder: Path, decoders: Decoders) -> None:
    shown = list(tiles(folder, decoders))
    assert [tile.name for tile in shown] == ["series/a.dcm", "series/b.dcm", "series/c.dcm", "series/d.txt"]
    assert [tile.caption for tile in shown] == [
        "CT, frame 1 of 1",
        "missing_uid",
        "invalid_header",
        "not_dicom",
    ]
    assert [tile.png is not None for tile in shown] == [True, True, False, False]
    assert [tile.refused for tile in shown] == [False, True, True, True]


def test_pages_are_full_and_then_the_next_begins(folder: Path, decoders: Decoders) -> None:
    one = next(tiles(folder, decoders))
    pages = list(sheets([one] * (COLUMNS * ROWS + 1)))
    assert len(pages) == 2
    assert pages[0].width == pages[1].width > COLUMNS * SIDE
    assert pages[0].height > ROWS * SIDE > pages[1].height


def test_the_command_says_where_the_pages_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert contact_sheet.main([str(folder), str(tmp_path / "out.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out-1.png'}\n"
    with Image.open(tmp_path / "out-1.png") as page:
        assert page.getpixel((6, 30)) != page.getpixel((1, 1))
