"""Configuration files of `cbir train`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbir.train.stored import stored_configuration
from indexer.errors import Rejected


def test_without_a_file_there_are_no_values() -> None:
    assert stored_configuration(None, "fit") == {}


def test_the_object_of_the_file_is_given(tmp_path: Path) -> None:
    file = tmp_path / "wanted.json"
    file.write_text('{"steps": 3, "fit": {"seed": 1}}')
    assert stored_configuration(file, "fit") == {"steps": 3, "fit": {"seed": 1}}


@pytest.mark.parametrize("content", [b"[1]", b"3", b"{", b"\xff\xfe", b'{"fit": 3}', b'{"fit": [1]}'])
def test_what_is_no_configuration_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "wanted.json"
    file.write_bytes(content)
    with pytest.raises(Rejected, match=r"wanted\.json"):
        stored_configuration(file, "fit")
