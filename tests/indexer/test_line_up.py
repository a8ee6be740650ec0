"""Which encoder takes a series, and what becomes of the two line-ups."""

from __future__ import annotations

import pytest

from indexer.domain import EncoderVersion
from indexer.errors import Rejected
from indexer.line_up import Holdings, LineUp, LineUps, RoutedEncoder

GREY = EncoderVersion("grey", "0" * 64, 2)
CHEST = EncoderVersion("chest", "1" * 64, 3)
LATER = EncoderVersion("later", "2" * 64, 4)
ANYTHING = LineUp((RoutedEncoder(GREY),))
CHEST_FIRST = LineUp((RoutedEncoder(CHEST, ("CR", "DX")), RoutedEncoder(GREY)))
ONLY_CHEST = LineUp((RoutedEncoder(CHEST, ("CR", "DX")),))


def test_the_first_encoder_that_serves_a_modality_takes_it() -> None:
    assert CHEST_FIRST.route("DX") == CHEST
    assert CHEST_FIRST.route("MR") == GREY
    assert ONLY_CHEST.route("MR") is None


def test_reports_go_to_the_first_encoder_that_reads_and_never_to_one_that_only_looks() -> None:
    reading = LineUp((RoutedEncoder(GREY), RoutedEncoder(CHEST, ("CR",), ("en", "fr"))))
    assert [reading.route(modality) for modality in ("CT", "SR", "DOC")] == [GREY, CHEST, CHEST]
    assert reading.looks_at("SR") == GREY
    assert reading.reads("CT") is None
    assert [ANYTHING.route(modality) for modality in ("SR", "DOC")] == [None, None]
    assert LineUps(ANYTHING, reading).wanted("SR") == (CHEST,)


def test_an_encoder_that_learned_to_read_makes_another_line_up() -> None:
    reading = LineUp((RoutedEncoder(GREY, languages=("en",)),))
    begun = LineUps(ANYTHING).activated(reading, switch_when_filled=True)
    assert begun.versions == (GREY,)
    assert Holdings.of("").lack(begun.wanted("SR"))
    assert LineUps.from_json(begun.to_json()) == begun


def test_a_series_is_wanted_once_where_both_line_ups_route_it_to_the_same_encoder() -> None:
    both = LineUps(ANYTHING, CHEST_FIRST)
    assert both.wanted("CR") == (GREY, CHEST)
    assert both.wanted("MR") == (GREY,)
    assert both.versions == (GREY, CHEST)
    assert both.only_beside == (CHEST,)


def test_what_nobody_serves_is_wanted_by_nobody() -> None:
    assert LineUps(ONLY_CHEST).wanted("MR") == ()


def test_after_a_switch_there_is_a_way_back_and_before_it_there_is_none() -> None:
    begun = LineUps(ANYTHING).activated(CHEST_FIRST, switch_when_filled=True)
    assert not begun.beside_served
    switched = begun.switched()
    assert (switched.serving, switched.beside) == (CHEST_FIRST, ANYTHING)
    assert switched.beside_served
    assert not switched.switch_when_filled
    assert switched.switched().serving == ANYTHING


def test_a_third_line_up_waits_until_the_second_is_retired() -> None:
    begun = LineUps(ANYTHING).activated(ONLY_CHEST, switch_when_filled=True)
    third = LineUp((RoutedEncoder(LATER),))
    with pytest.raises(Rejected, match="retire"):
        begun.activated(third, switch_when_filled=True)
    assert begun.retired().activated(third, switch_when_filled=True).beside == third


def test_who_is_retired_is_noted_until_its_vectors_are_deleted_and_is_not_filled_meanwhile() -> None:
    begun = LineUps(ANYTHING).activated(CHEST_FIRST, switch_when_filled=True).retired()
    assert begun.retiring == (CHEST,)
    assert begun.versions == (GREY,)
    with pytest.raises(Rejected, match="being deleted"):
        begun.activated(ONLY_CHEST, switch_when_filled=True)
    third = LineUp((RoutedEncoder(LATER),))
    assert begun.activated(third, switch_when_filled=True).retired().retiring == (CHEST, LATER)
    ended = begun.without_retiring(CHEST)
    assert ended == LineUps(ANYTHING)
    assert ended.activated(ONLY_CHEST, switch_when_filled=True).beside == ONLY_CHEST


def test_what_is_searched_is_not_activated_again() -> None:
    with pytest.raises(Rejected, match="already"):
        LineUps(ANYTHING).activated(ANYTHING, switch_when_filled=True)
    with pytest.raises(Rejected, match="activate"):
        LineUps(ANYTHING).switched()


@pytest.mark.parametrize(
    "line_ups",
    [
        LineUps(ANYTHING),
        LineUps(ANYTHING, CHEST_FIRST, switch_when_filled=True, configured=ANYTHING, beside_served=True),
        LineUps(ANYTHING, retiring=(CHEST, LATER)),
    ],
)
def test_what_the_ledger_keeps_is_read_back(line_ups: LineUps) -> None:
    assert LineUps.from_json(line_ups.to_json()) == line_ups


def test_holdings_are_read_back_and_those_of_earlier_releases_are_understood() -> None:
    held = Holdings(frozenset({str(GREY), str(CHEST)}), frozenset({str(LATER)}))
    assert Holdings.of(str(held)) == held
    assert Holdings.of(None) == Holdings.of("") == Holdings()
    assert Holdings.of("grey32@0123456789ab").made == {"grey32@0123456789ab"}
    assert held.lack([EncoderVersion("other", "3" * 64, 2)])
    assert not held.lack([GREY, LATER])
    assert Holdings.of(str(held.without(str(GREY)))).made == {str(CHEST)}
