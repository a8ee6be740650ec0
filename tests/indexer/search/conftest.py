"""A world for every test of the search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.ledger import Ledger
from tests.indexer.search.world import ENCODER, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        world = World(ledger)
        world.index.prepare(ENCODER)
        yield world
