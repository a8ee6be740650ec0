"""When a prior case was acquired, as a reader wants it: a date, or how long before the example."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from indexer.answers.words import Language

Dates = Literal["date", "relative", "none"]

_DAYS_A_MONTH: Final = 30.44
_DAYS_A_YEAR: Final = 365.25
_UNITS: Final[dict[Language, dict[str, tuple[str, str]]]] = {
    "en": {"year": ("year", "years"), "month": ("month", "months"), "day": ("day", "days")},
    "fr": {"year": ("an", "ans"), "month": ("mois", "mois"), "day": ("jour", "jours")},
}
_SAME_DAY: Final[dict[Language, str]] = {"en": "same day", "fr": "même jour"}
_ORDER: Final[dict[Language, tuple[str, str]]] = {"en": ("before", "after"), "fr": ("avant", "après")}
_FORMATS: Final[dict[Language, str]] = {"en": "%Y-%m-%d", "fr": "%d/%m/%Y"}


def when(prior: date | None, example: date | None, dates: Dates, language: Language = "en") -> str:
    """The date of a prior case in words; empty where it is unknown or not to be told.

    Args:
        prior: of the prior case.
        example: of what was asked about; without it nothing relative can be said.
        dates: "date" tells the date, "relative" only how far it lies from the example, "none" nothing.
        language: of the words.
    """
    if prior is None or dates == "none":
        return ""
    if dates == "date":
        return prior.strftime(_FORMATS[language])
    if example is None:
        return ""
    days = (example - prior).days
    if days == 0:
        return _SAME_DAY[language]
    before, after = _ORDER[language]
    return f"{_span(abs(days), language)} {before if days > 0 else after}"


def _span(days: int, language: Language) -> str:
    """Years from two on, months from two on, days below."""
    for unit, length in (("year", _DAYS_A_YEAR), ("month", _DAYS_A_MONTH)):
        count = round(days / length)
        if count >= 2 or (unit == "year" and abs(days - length) < _DAYS_A_MONTH / 2):
            return _counted(count, unit, language)
    return _counted(days, "day", language)


def _counted(count: int, unit: str, language: Language) -> str:
    one, many = _UNITS[language][unit]
    return f"{count} {one if count == 1 else many}"
