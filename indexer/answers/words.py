"""A score in the words of a physician, in English and French."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from indexer.domain import Match, Pairs

Language = Literal["en", "fr"]


class Likeness(StrEnum):
    """How alike, in five steps of the percentage of pairs that are less alike; without one, unknown.

    Unknown too where the pairs are of all kinds: that two knees are more alike than a knee and a chest says
    little of the two knees.
    """

    NEARLY_THE_SAME = "nearly_the_same"
    VERY_ALIKE = "very_alike"
    ALIKE = "alike"
    SOMEWHAT_ALIKE = "somewhat_alike"
    HARDLY_ALIKE = "hardly_alike"
    UNKNOWN = "unknown"


_STEPS: Final = (
    (99.9, Likeness.NEARLY_THE_SAME),
    (99.0, Likeness.VERY_ALIKE),
    (95.0, Likeness.ALIKE),
    (80.0, Likeness.SOMEWHAT_ALIKE),
    (0.0, Likeness.HARDLY_ALIKE),
)
_WORDS: Final[dict[Language, dict[Likeness, str]]] = {
    "en": {
        Likeness.NEARLY_THE_SAME: "nearly the same",
        Likeness.VERY_ALIKE: "very alike",
        Likeness.ALIKE: "alike",
        Likeness.SOMEWHAT_ALIKE: "somewhat alike",
        Likeness.HARDLY_ALIKE: "hardly alike",
        Likeness.UNKNOWN: "",
    },
    "fr": {
        Likeness.NEARLY_THE_SAME: "presque identique",
        Likeness.VERY_ALIKE: "très ressemblant",
        Likeness.ALIKE: "ressemblant",
        Likeness.SOMEWHAT_ALIKE: "assez ressemblant",
        Likeness.HARDLY_ALIKE: "peu ressemblant",
        Likeness.UNKNOWN: "",
    },
}


_PAIRS: Final[Mapping[Language, Mapping[Pairs, str]]] = {
    "en": {"body_part": "pairs", "modality": "pairs of this modality", "archive": "all pairs"},
    "fr": {
        "body_part": "des paires",
        "modality": "des paires de cette modalité",
        "archive": "de toutes les paires",
    },
}


def likeness_of(match: Match) -> Likeness:
    """The step that a match stands on."""
    if match.percent is None:
        return Likeness.UNKNOWN
    return likeness_of_percent(match.percent, match.percent_of)


def likeness_of_percent(percent: float, pairs: Pairs = "body_part") -> Likeness:
    """The step that a percentage of these pairs stands on, in [0, 100]."""
    if pairs == "archive":
        return Likeness.UNKNOWN
    return next(step for least, step in _STEPS if percent >= least)


def in_words(likeness: Likeness, language: Language = "en") -> str:
    """A step in words; empty for an unknown one."""
    return _WORDS[language][likeness]


def percentage(percent: float, language: Language = "en") -> str:
    """A percentage without a claim that its sample cannot carry: 87, 99.4, more than 99.9; rounded down."""
    if percent > 99.9:
        return {"en": "more than 99.9", "fr": "plus de 99,9"}[language]
    said = f"{math.floor(percent * 10 + 1e-6) / 10:.1f}" if percent >= 99 else f"{math.floor(percent + 1e-6)}"
    return said.replace(".", ",") if language == "fr" else said


def more_alike_than(percent: float, language: Language = "en", pairs: Pairs = "body_part") -> str:
    """What a percentage stands for, as a clause; it says when the pairs are of more than one body part."""
    said = percentage(min(percent, 99.9), language)
    of = _PAIRS[language][pairs]
    return {"en": f"more alike than {said} % of {of}", "fr": f"plus proche que {said} % {of}"}[language]


def share_of_bar(percent: float) -> float:
    """How much of a bar a percentage fills, in [0, 1]: 90, 99 and 99.9 fill one, two and three thirds.

    A linear bar would be full for every case that is worth to be shown.
    """
    rest = max(1 - percent / 100, 1e-6)
    return min(1.0, -math.log10(rest) / 3)
