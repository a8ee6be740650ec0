"""A score in the words of a physician: never more than what was measured."""

from __future__ import annotations

import pytest

from indexer.answers.words import (
    Likeness,
    in_words,
    likeness_of,
    likeness_of_percent,
    more_alike_than,
    share_of_bar,
)
from indexer.domain import EncoderVersion, FrameReference, Match, Pairs, SeriesAttributes, SeriesReference


@pytest.mark.parametrize(
    ("percent", "english", "french", "words"),
    [
        (87.99, "more alike than 87 % of pairs", "plus proche que 87 % des paires", "somewhat alike"),
        (94.96, "more alike than 94 % of pairs", "plus proche que 94 % des paires", "somewhat alike"),
        (95.0, "more alike than 95 % of pairs", "plus proche que 95 % des paires", "alike"),
        (99.47, "more alike than 99.4 % of pairs", "plus proche que 99,4 % des paires", "very alike"),
        (99.9, "more alike than 99.9 % of pairs", "plus proche que 99,9 % des paires", "nearly the same"),
        (100.0, "more alike than 99.9 % of pairs", "plus proche que 99,9 % des paires", "nearly the same"),
        (12.0, "more alike than 12 % of pairs", "plus proche que 12 % des paires", "hardly alike"),
    ],
)
def test_a_percentage_is_rounded_down_and_fits_its_word(
    percent: float, english: str, french: str, words: str
) -> None:
    assert more_alike_than(percent, "en") == english
    assert more_alike_than(percent, "fr") == french
    assert in_words(likeness_of_percent(percent)) == words


@pytest.mark.parametrize(
    ("percent", "pairs", "word"),
    [
        (99.99, "body_part", Likeness.NEARLY_THE_SAME),
        (99.99, "modality", Likeness.NEARLY_THE_SAME),
        (99.99, "archive", Likeness.UNKNOWN),
        (None, "body_part", Likeness.UNKNOWN),
    ],
)
def test_pairs_of_all_kinds_say_too_little_for_a_word(
    percent: float | None, pairs: Pairs, word: Likeness
) -> None:
    match = Match(
        rank=1,
        score=0.9,
        reference=SeriesReference("1", "1.1", "id"),
        attributes=SeriesAttributes(),
        frame=FrameReference("1.2", "1.1.1", 1),
        encoder=EncoderVersion("test", "ab" * 32, 2),
        percent=percent,
        percent_of=pairs,
    )
    assert likeness_of(match) is word


def test_the_bar_tells_the_best_apart() -> None:
    assert [round(share_of_bar(percent), 3) for percent in (0, 90, 99, 99.9, 100)] == [0, 0.333, 0.667, 1, 1]


def test_it_is_said_when_pairs_of_other_kinds_are_compared_with() -> None:
    assert more_alike_than(87, "en", "modality") == "more alike than 87 % of pairs of this modality"
    assert more_alike_than(87, "fr", "archive") == "plus proche que 87 % de toutes les paires"
