from __future__ import annotations

from datetime import date

import pytest

from indexer.answers.chronology import Dates, when
from indexer.answers.words import Language

ASKED = date(2024, 5, 1)


@pytest.mark.parametrize(
    ("prior", "english", "french"),
    [
        (date(2022, 5, 2), "2 years before", "2 ans avant"),
        (date(2023, 5, 1), "1 year before", "1 an avant"),
        (date(2024, 2, 1), "3 months before", "3 mois avant"),
        (date(2024, 4, 19), "12 days before", "12 jours avant"),
        (date(2024, 4, 30), "1 day before", "1 jour avant"),
        (ASKED, "same day", "même jour"),
        (date(2024, 5, 2), "1 day after", "1 jour après"),
        (date(2029, 5, 1), "5 years after", "5 ans après"),
    ],
)
def test_how_long_before_is_said_in_the_largest_unit_that_fits(
    prior: date, english: str, french: str
) -> None:
    assert when(prior, ASKED, "relative", "en") == english
    assert when(prior, ASKED, "relative", "fr") == french


@pytest.mark.parametrize(
    ("dates", "language", "expected"),
    [
        ("date", "en", "2022-05-02"),
        ("date", "fr", "02/05/2022"),
        ("none", "en", ""),
    ],
)
def test_the_setting_says_how_much_is_told(dates: Dates, language: Language, expected: str) -> None:
    assert when(date(2022, 5, 2), ASKED, dates, language) == expected


def test_what_is_not_known_is_not_told() -> None:
    assert when(None, ASKED, "date") == ""
    assert when(date(2022, 5, 2), None, "relative") == ""
