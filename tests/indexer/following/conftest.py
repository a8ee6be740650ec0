"""A house with a ledger of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.ledger import Ledger
from tests.indexer.following.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        yield House(ledger)
