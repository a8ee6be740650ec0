"""How a question was asked, in phrases: what limits the cases, what else they answer, nothing private."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from indexer.answers.asked_words import asked_in_words, is_by_likeness_alone
from indexer.answers.words import Language
from indexer.domain import Answer, Filters, Region, SeriesReference
from indexer.search.question import MAX_TEXT, ExampleReference, Question, RegionOfInterest
from tests.fakes.answers import uid

EXAMPLE = (Path("example.dcm"),)
REPORT = Path("report.dcm")
NOTHING = Answer(example=(), encoder=None, matches=(), took_ms=0.0)


def chosen(study: str, series: str) -> ExampleReference:
    return ExampleReference(series_instance_uid=uid(study, series))


def found(study: str, series: str) -> SeriesReference:
    return SeriesReference(uid(study), uid(study, series), f"{study}/{series}")


def dated(first: date | None, last: date | None = None) -> Question:
    return Question(EXAMPLE, filters=Filters(study_date_from=first, study_date_to=last))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_of_a_plain_question_nothing_is_said(language: Language) -> None:
    region = RegionOfInterest(uid("instance"), 1, Region(0, 0, 0.5, 0.5))
    for question in (None, Question(EXAMPLE), Question(EXAMPLE, limit=3, same_patient=True, region=region)):
        assert asked_in_words(question, NOTHING, language=language) == ()


@pytest.mark.parametrize(
    ("modalities", "english", "french"),
    [
        (("CT",), "CT only", "CT seulement"),
        (("CT", "MR"), "CT or MR only", "CT ou MR seulement"),
        (("CT", "MR", "PT", "NM"), "CT, MR, PT or NM only", "CT, MR, PT ou NM seulement"),
        (
            ("CT", "MR", "PT", "NM", "US"),
            "CT, MR, PT or 2 others only",
            "CT, MR, PT ou 2 autres seulement",
        ),
    ],
)
def test_kinds_that_alone_were_looked_for_are_named_up_to_four(
    modalities: tuple[str, ...], english: str, french: str
) -> None:
    of_modality = Question(EXAMPLE, filters=Filters(modality=modalities))
    of_part = Question(EXAMPLE, filters=Filters(body_part_examined=modalities))
    for question in (of_modality, of_part):
        assert asked_in_words(question, NOTHING) == (english,)
        assert asked_in_words(question, NOTHING, language="fr") == (french,)


@pytest.mark.parametrize(
    ("first", "last", "english", "french"),
    [
        (date(2020, 1, 2), None, "since 2020-01-02", "depuis le 02/01/2020"),
        (None, date(2021, 3, 4), "until 2021-03-04", "jusqu'au 04/03/2021"),
        (
            date(2020, 1, 2),
            date(2021, 3, 4),
            "from 2020-01-02 to 2021-03-04",
            "du 02/01/2020 au 04/03/2021",
        ),
    ],
)
def test_dates_are_told_as_dates_for_they_are_of_no_patient(
    first: date | None, last: date | None, english: str, french: str
) -> None:
    assert asked_in_words(dated(first, last), NOTHING) == (english,)
    assert asked_in_words(dated(first, last), NOTHING, language="fr") == (french,)


def test_a_text_is_quoted_on_one_line() -> None:
    question = Question(EXAMPLE, text=" intracranial\n haemorrhage ")
    assert asked_in_words(question, NOTHING) == ("with the words “intracranial haemorrhage”",)
    [french] = asked_in_words(question, NOTHING, language="fr")
    assert french.replace("\N{NO-BREAK SPACE}", " ") == "avec les mots « intracranial haemorrhage »"


@pytest.mark.parametrize("text", ["haemorrhage " * 160, "h" * MAX_TEXT])
def test_of_a_long_text_the_beginning_is_quoted(text: str) -> None:
    question = Question(EXAMPLE, text=text)
    [whole], [begun] = (asked_in_words(question, NOTHING, longest_text=n) for n in (MAX_TEXT, 60))
    assert text.strip() in whole
    assert 40 < len(begun) <= len("with the words “”") + 60
    assert begun.endswith("…”")
    assert text.startswith(begun.removeprefix("with the words “").removesuffix("…”"))


def test_the_words_of_reports_are_never_quoted() -> None:
    one, two = Question(EXAMPLE, reports=(REPORT,)), Question(EXAMPLE, reports=(REPORT, REPORT))
    assert asked_in_words(one, NOTHING) == ("with the words of the report sent along",)
    assert asked_in_words(two, NOTHING) == ("with the words of 2 reports sent along",)
    assert asked_in_words(one, NOTHING, language="fr") == ("avec les mots du compte rendu joint",)
    alone = Question(None, reports=(REPORT,))
    assert asked_in_words(alone, NOTHING) == ("with the words of the report",)


def test_a_report_that_was_not_used_is_not_among_what_was_asked() -> None:
    question = Question(EXAMPLE, reports=(REPORT,))
    unused = Answer((), None, (), 0.0, unused_reports="empty_report")
    assert asked_in_words(question, unused) == asked_in_words(question, unused, language="fr") == ()
    assert is_by_likeness_alone(question, unused)
    assert not is_by_likeness_alone(question, NOTHING)


@pytest.mark.parametrize(
    ("more", "less", "english", "french"),
    [
        (1, 0, "more like 1 chosen case", "plus proches de 1 cas choisi"),
        (2, 1, "more like 2 chosen cases, less like 1", "plus proches de 2 cas choisis, moins proches de 1"),
        (0, 2, "less like 2 chosen cases", "moins proches de 2 cas choisis"),
    ],
)
def test_chosen_cases_are_counted_by_their_studies_and_not_named(
    more: int, less: int, english: str, french: str
) -> None:
    """Two series of one study are one case; where the question was refused only what was asked is known.

    Who wonders where they are is told.
    """
    series = [(f"case {number}", place) for number in range(more + less) for place in "12"]
    like, unlike = series[: 2 * more], series[2 * more :]
    question = Question(
        EXAMPLE,
        more=tuple(chosen(*one) for one in like[::2]),
        less=tuple(chosen(*one) for one in unlike[::2]),
    )
    answer = Answer(
        (), None, (), 0.0, more=tuple(found(*o) for o in like), less=tuple(found(*o) for o in unlike)
    )
    assert asked_in_words(question, answer) == (f"{english} (chosen cases are not shown again)",)
    [said] = asked_in_words(question, NOTHING, language="fr")
    assert said == f"{french} (les cas choisis ne sont plus montrés)"


def test_limits_come_first_and_without_an_example_the_words_do() -> None:
    filters = Filters(modality=("CT",))
    asked = asked_in_words(
        Question(EXAMPLE, filters=filters, text="bleeding", more=(chosen("a", "1"),), diversity=0.5), NOTHING
    )
    assert asked == (
        "CT only",
        "with the words “bleeding”",
        "more like 1 chosen case (chosen cases are not shown again)",
        "varied",
    )
    alone = asked_in_words(Question(None, filters=filters, text="bleeding"), NOTHING, language="en")
    assert alone == ("with the words “bleeding”", "CT only")


def test_words_choice_and_variety_decide_on_ranks_and_filters_do_not() -> None:
    assert is_by_likeness_alone(None, NOTHING)
    assert is_by_likeness_alone(Question(EXAMPLE, filters=Filters(modality=("CT",))), NOTHING)
    assert not is_by_likeness_alone(Question(EXAMPLE, more=(chosen("a", "1"),)), NOTHING)
    assert not is_by_likeness_alone(Question(EXAMPLE, less=(chosen("a", "1"),)), NOTHING)
    assert not is_by_likeness_alone(Question(EXAMPLE, text="bleeding"), NOTHING)
    assert not is_by_likeness_alone(Question(EXAMPLE, diversity=0.1), NOTHING)
