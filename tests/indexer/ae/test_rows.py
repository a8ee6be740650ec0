"""How alike a case is, where a workstation shows nothing but a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from indexer.ae.rows import rank_in_words
from indexer.domain import Pairs
from indexer.ledger import KeptCase

CASE = KeptCase(
    1, 0.873, 99.4, "1.2", "1.2.1", "archive-id", "1.2.1.1", 3, "MR", "HEAD", "T1", "AXIAL", date(2020, 1, 2)
)


@pytest.mark.parametrize(
    ("percent", "pairs", "words"),
    [
        (99.4, "body_part", "01  very alike, 99.4 %  0.873"),
        (99.4, "modality", "01  very alike, 99.4 %  0.873"),
        (99.4, "archive", "01  0.873"),
        (None, "body_part", "01  0.873"),
    ],
)
def test_a_word_is_said_of_pairs_of_one_kind_only(percent: float | None, pairs: Pairs, words: str) -> None:
    assert rank_in_words(replace(CASE, percent=percent, percent_of=pairs)) == words
