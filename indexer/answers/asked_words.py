"""How a question was asked, in short phrases for a physician, in English and French."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.answers.chronology import when
from indexer.answers.words import Language
from indexer.domain import Answer, Filters, SeriesReference
from indexer.search.question import MAX_TEXT, ExampleReference, Question

MOST_NAMED: Final = 4
"""Modalities or body parts that are named; of more, the rest is counted."""


@dataclass(frozen=True, slots=True)
class _Words:
    """One language. `{}` takes names, a date or a number; of pairs, the second is said of several."""

    only: str
    either: str
    others: str
    since: str
    until: str
    between: str
    text: str
    reports_along: tuple[str, str]
    reports: tuple[str, str]
    more: tuple[str, str]
    less: tuple[str, str]
    less_too: str
    not_again: str
    varied: str


_WORDS: Final[Mapping[Language, _Words]] = {
    "en": _Words(
        only="{} only",
        either="{} or {}",
        others="{} others",
        since="since {}",
        until="until {}",
        between="from {} to {}",
        text="with the words “{}”",
        reports_along=(
            "with the words of the report sent along",
            "with the words of {} reports sent along",
        ),
        reports=("with the words of the report", "with the words of {} reports"),
        more=("more like {} chosen case", "more like {} chosen cases"),
        less=("less like {} chosen case", "less like {} chosen cases"),
        less_too="less like {}",
        not_again=" (chosen cases are not shown again)",
        varied="varied",
    ),
    "fr": _Words(
        only="{} seulement",
        either="{} ou {}",
        others="{} autres",
        since="depuis le {}",
        until="jusqu'au {}",
        between="du {} au {}",
        text="avec les mots «\N{NO-BREAK SPACE}{}\N{NO-BREAK SPACE}»",
        reports_along=(
            "avec les mots du compte rendu joint",
            "avec les mots de {} comptes rendus joints",
        ),
        reports=("avec les mots du compte rendu", "avec les mots de {} comptes rendus"),
        more=("plus proches de {} cas choisi", "plus proches de {} cas choisis"),
        less=("moins proches de {} cas choisi", "moins proches de {} cas choisis"),
        less_too="moins proches de {}",
        not_again=" (les cas choisis ne sont plus montrés)",
        varied="variés",
    ),
}


def asked_in_words(
    question: Question | None,
    answer: Answer,
    *,
    language: Language = "en",
    longest_text: int = MAX_TEXT,
) -> tuple[str, ...]:
    """What a question asks for beside likeness to its example or to a region of it; nothing of a plain one.

    The words of reports are never quoted, and chosen cases are only counted. Dates are told as dates, however
    those of cases are: these are of no patient. Where there is no example, the words come first.

    Args:
        question: how it was asked; None where nothing could be.
        answer: tells how many cases its chosen series are of, and whether reports were used.
        language: of the phrases.
        longest_text: characters; of a longer text only the beginning is quoted.
    """
    if question is None:
        return ()
    words = _WORDS[language]
    limits = (*_of_kinds(question.filters, words), *_of_dates(question.filters, language))
    told = (*_of_text(question.text, words, longest_text), *_of_reports(question, answer, words))
    chosen = (*_of_chosen(question, answer, words), *([words.varied] if question.diversity else []))
    return (*told, *limits, *chosen) if question.example is None else (*limits, *told, *chosen)


def _of_kinds(filters: Filters, words: _Words) -> Iterator[str]:
    for named in (filters.modality, filters.body_part_examined):
        if named:
            yield words.only.format(_either(named, words))


def _either(named: Sequence[str], words: _Words) -> str:
    if len(named) > MOST_NAMED:
        listed = named[: MOST_NAMED - 1]
        named = (*listed, words.others.format(len(named) - len(listed)))
    *first, last = named
    return words.either.format(", ".join(first), last) if first else last


def _of_dates(filters: Filters, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    first, last = (
        when(bound, None, "date", language) for bound in (filters.study_date_from, filters.study_date_to)
    )
    if first and last:
        yield words.between.format(first, last)
    elif first or last:
        yield words.since.format(first) if first else words.until.format(last)


def _of_text(text: str, words: _Words, longest: int) -> Iterator[str]:
    text = " ".join(text.split())
    if text:
        yield words.text.format(_begun(text, longest))


def _begun(text: str, longest: int) -> str:
    """The beginning of a text, up to a whole word where one ends late enough."""
    if len(text) <= longest:
        return text
    begun = text[: longest - 1]
    whole = begun.rpartition(" ")[0]
    return f"{(whole if 2 * len(whole) >= longest else begun).rstrip(' ,;:')}…"


def _of_reports(question: Question, answer: Answer, words: _Words) -> Iterator[str]:
    if question.reports and not answer.unused_reports:
        used = words.reports_along if question.example is not None else words.reports
        yield _counted(answer.read_reports or len(question.reports), used)


def _of_chosen(question: Question, answer: Answer, words: _Words) -> Iterator[str]:
    more, less = _cases(question.more, answer.more), _cases(question.less, answer.less)
    said = [_counted(more, words.more)] if more else []
    if less:
        said.append(words.less_too.format(less) if more else _counted(less, words.less))
    if said:
        yield ", ".join(said) + words.not_again


def _cases(asked: Sequence[ExampleReference], found: Sequence[SeriesReference]) -> int:
    """How many studies were chosen; an answer that was refused may not know them."""
    return len({series.study_instance_uid for series in found}) or len(asked)


def _counted(number: int, forms: tuple[str, str]) -> str:
    return forms[0 if number == 1 else 1].format(number)


def is_by_likeness_alone(question: Question | None, answer: Answer) -> bool:
    """Whether nothing but likeness to the example decides on the ranks: no words, no choice, no variety."""
    return question is None or not (is_refined(question, answer) or question.diversity)


def is_refined(question: Question | None, answer: Answer) -> bool:
    """Whether words or chosen cases decide on the ranks, beside an example or alone."""
    if question is None:
        return False
    with_reports = question.reports and not answer.unused_reports
    return bool(question.text.strip() or with_reports or question.more or question.less)
