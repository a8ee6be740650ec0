"""Why reports that were sent along had no part in the answer, in a sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from indexer.answers.words import Language
from indexer.domain import Answer
from indexer.search.question import Question


@dataclass(frozen=True, slots=True)
class _Words:
    """One language. Of pairs, the second is said of several reports; `{}` takes their number or a reason."""

    unused: tuple[str, str]
    why: Mapping[str, tuple[str, str]]
    otherwise: str


_WORDS: Final[Mapping[Language, _Words]] = {
    "en": _Words(
        unused=("The report that was sent was not used", "The {} reports that were sent were not used"),
        why={
            "empty_report": ("it does not tell what is seen", "they do not tell what is seen"),
            "no_report": ("it is no report in words", "they are no reports in words"),
            "unreadable_report": ("it cannot be read", "they cannot be read"),
            "unknown_words": ("the encoder knows none of its words", "the encoder knows none of their words"),
        },
        otherwise="reason: {}",
    ),
    "fr": _Words(
        unused=(
            "Le compte rendu envoyé n'a pas servi",
            "Les {} comptes rendus envoyés n'ont pas servi",
        ),
        why={
            "empty_report": ("il ne dit rien de ce qui se voit", "ils ne disent rien de ce qui se voit"),
            "no_report": ("ce n'est pas un compte rendu rédigé", "ce ne sont pas des comptes rendus rédigés"),
            "unreadable_report": ("il est illisible", "ils sont illisibles"),
            "unknown_words": (
                "l'encodeur ne connaît aucun de ses mots",
                "l'encodeur ne connaît aucun de leurs mots",
            ),
        },
        otherwise="raison : {}",
    ),
}
_COLONS: Final[Mapping[Language, str]] = {"en": ": ", "fr": "\N{NO-BREAK SPACE}: "}


def unused_reports_in_words(question: Question | None, answer: Answer, language: Language = "en") -> str:
    """One sentence; empty where there were no reports, or where their words were asked with."""
    if question is None or not question.reports or not answer.unused_reports:
        return ""
    words, number = _WORDS[language], len(question.reports)
    form = 0 if number == 1 else 1
    known = words.why.get(answer.unused_reports)
    why = known[form] if known else words.otherwise.format(answer.unused_reports)
    return f"{words.unused[form].format(number)}{_COLONS[language]}{why}."
