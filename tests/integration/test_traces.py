"""The search for traces finds what is there, so that finding nothing means something."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.integration.traces import traces, traces_in_files

WORD = "Zqxfamily"


@pytest.mark.parametrize(
    "written",
    [
        WORD.encode(),
        WORD.upper().encode(),
        WORD.encode("utf-16-le"),
        WORD.upper().encode("utf-16-be"),
        WORD.encode().hex().encode(),
        WORD.upper().encode().hex().upper().encode(),
        base64.b64encode(b"a" + WORD.encode() + b"tail"),
        base64.b64encode(b"ab" + WORD.encode()),
        base64.b64encode(WORD.lower().encode() + b"abc"),
    ],
)
def test_a_word_is_found_however_it_is_written(written: bytes) -> None:
    assert list(traces(b"\x00\xff before" + written + b"after", [WORD])) == [WORD]


def test_another_word_is_not_found() -> None:
    assert list(traces(base64.b64encode(b"nothing of that kind") * 9, [WORD])) == []


def test_names_and_contents_of_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "zqxfamily.txt").write_text("nothing")
    (tmp_path / "other").write_text("of Zqxfamily")
    assert len(traces_in_files([tmp_path], [WORD])) == 2
