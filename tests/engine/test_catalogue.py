"""Collections on the disk: whole, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalogue import Catalogue
from engine.protocol import Count, CreateCollection

CONFIG = CreateCollection.model_validate_json('{"vectors": {"v": {"size": 2, "distance": "Dot"}}}')


def test_what_was_being_made_or_deleted_when_the_process_ended_is_cleared_away(tmp_path: Path) -> None:
    leftover = tmp_path / "unfinished" / "half" / "shard"
    leftover.mkdir(parents=True)
    catalogue = Catalogue(tmp_path)
    assert catalogue.names() == []
    assert list((tmp_path / "unfinished").iterdir()) == []
    catalogue.close()


def test_a_collection_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(tmp_path)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("engine.catalogue.write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            catalogue.create("things", CONFIG)
    assert catalogue.names() == []
    catalogue.create("things", CONFIG)
    assert catalogue.shard("things").count(Count()) == 0
    catalogue.close()
    assert Catalogue(tmp_path).names() == ["things"]
