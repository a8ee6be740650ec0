"""What the service keeps while it runs lies in its data directory, and is gone when it starts again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cbir.serve import keep_uploads_beside_the_data
from cbir.settings import Settings
from indexer.adapters.folder import FolderArchive
from indexer.collecting import Policy
from indexer.collecting.recalling import AsSent, Recalling
from indexer.ports import Caller
from tests.fakes.answers import uid
from tests.fakes.collected import PSEUDONYMS, collected


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Of a service of this process; its folder of temporary files is forgotten afterwards."""
    before = tempfile.tempdir
    (tmp_path / "data").mkdir(mode=0o700)
    yield Settings(data_dir=tmp_path / "data")
    tempfile.tempdir = before


def test_an_example_that_is_recalled_lies_in_the_data_directory_and_what_was_left_there_goes_at_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    keep_uploads_beside_the_data(settings)
    uploads = settings.data_dir / "uploads"
    with collected(tmp_path / "house") as house:
        house.prior("asked")
        archive = FolderArchive(house.folder / "priors")
        recalling = Recalling(archive, house.library(), archive, Policy(PSEUDONYMS))
        sent = [AsSent(PSEUDONYMS.of("", "PRIOR-asked") or "", frozenset({uid("asked", "1", "1")}))]
        with recalling.files(Caller("WS1"), uid("asked"), sent):
            [folder] = uploads.glob("cbir-recalled-*")
            assert uploads.stat().st_mode & 0o777 == 0o700
    assert list(uploads.iterdir()) == []
    folder.mkdir()
    (folder / "left by a killed service.dcm").write_bytes(b"DICM")
    keep_uploads_beside_the_data(settings)
    assert list(uploads.iterdir()) == []
