"""Backgrounds are at hand for every question, whatever the ledger does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.domain import EncoderVersion
from indexer.errors import LedgerUnavailable
from indexer.ledger import Background, Ledger
from indexer.search import RememberedBackgrounds
from indexer.search.backgrounds import KNOWN_FOR_S

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
ENCODER = EncoderVersion("small", "a" * 64, 4)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


def background(modality: str, body_part: str, pairs: int = 500) -> Background:
    steps = np.asarray(np.linspace(0, 1, 11), dtype=np.float32)
    return Background(modality, body_part, pairs, steps, steps, 40)


def test_the_narrowest_one_is_given(ledger: Ledger) -> None:
    kept = [background("", ""), background("MR", ""), background("MR", "BRAIN")]
    ledger.keep_backgrounds(str(ENCODER), kept, NOW)
    remembered = RememberedBackgrounds(ledger)

    def given(modality: str, body_part: str) -> tuple[str, str] | None:
        found = remembered(ENCODER, modality, body_part)
        return None if found is None else (found.modality, found.body_part_examined)

    assert given("MR", "BRAIN") == ("MR", "BRAIN")
    assert given("MR", "KNEE") == given("MR", "") == ("MR", "")
    assert given("CT", "BRAIN") == given("", "") == ("", "")
    assert remembered(EncoderVersion("other", "b" * 64, 4), "MR", "BRAIN") is None


def test_one_without_pairs_is_none(ledger: Ledger) -> None:
    empty = np.zeros(0, dtype=np.float32)
    ledger.keep_backgrounds(str(ENCODER), [Background("", "", 0, empty, empty, 3)], NOW)
    assert RememberedBackgrounds(ledger)(ENCODER, "MR", "BRAIN") is None


def test_a_new_one_is_seen_within_seconds_and_not_before(ledger: Ledger) -> None:
    clock = Clock()
    remembered = RememberedBackgrounds(ledger, clock)
    assert remembered(ENCODER, "MR", "") is None
    ledger.keep_backgrounds(str(ENCODER), [background("MR", "")], NOW)
    clock.now_s += KNOWN_FOR_S / 2
    assert remembered(ENCODER, "MR", "") is None
    clock.now_s += KNOWN_FOR_S
    assert remembered(ENCODER, "MR", "") is not None


def test_a_ledger_that_is_down_leaves_the_last_ones_standing(ledger: Ledger, tmp_path: Path) -> None:
    clock = Clock()
    remembered = RememberedBackgrounds(ledger, clock)
    ledger.keep_backgrounds(str(ENCODER), [background("MR", "")], NOW)
    assert remembered(ENCODER, "MR", "") is not None
    ledger.close()
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    (tmp_path / "ledger.sqlite").write_bytes(b"no database")
    with pytest.raises(LedgerUnavailable):
        ledger.backgrounds(str(ENCODER))
    clock.now_s += 2 * KNOWN_FOR_S
    assert remembered(ENCODER, "MR", "") is not None
