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
        (99.4, "body_part", "01  very alike, 99.4 %  0.873  not for diagnosis"),
        (99.4, "modality", "01  very alike, 99.4 %  0.873  not for diagnosis"),
        (99.4, "archive", "01  0.873  not for diagnosis"),
        (None, "body_part", "01  0.873  not for diagnosis"),
    ],
)
def test_a_word_is_said_of_pairs_of_one_kind_only(percent: float | None, pairs: Pairs, words: str) -> None:
    assert rank_in_words(replace(CASE, percent=percent, percent_of=pairs)) == words


def test_a_possible_same_person_is_said_in_place_of_the_likeness() -> None:
    said = rank_in_words(replace(CASE, possible_same_person=True))
    assert said == "01  possibly the same person  0.873  not for diagnosis"


@pytest.mark.parametrize("percent", [99.99, 99.4, 96.0, 85.0, 3.0])
@pytest.mark.parametrize("same", [True, False])
def test_the_line_is_no_longer_than_a_long_string_may_be(percent: float, same: bool) -> None:
    case = replace(CASE, rank=100, percent=percent, possible_same_person=same)
    assert len(rank_in_words(case)) <= 64
