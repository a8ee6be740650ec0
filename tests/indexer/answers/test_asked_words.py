"""How a question was asked, in phrases: what limits the cases, what else they answer, nothing private."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from indexer.answers.asked_words import asked_in_words, is_by_likeness_alone
from indexer.answers.chronology import Dates
from indexer.answers.words import Language
from indexer.domain import Answer, Filters, Region, SeriesReference
from indexer.search.question import MAX_TEXT, ExampleReference, Question, RegionOfInterest
from tests.fakes.answers import uid

EXAMPLE = (Path("example.dcm"),)
REPORT = Path("report.dcm")
NOTHING = Answer(example=(), encoder=None, matches=(), took_ms=0.0)
ACQUIRED = date(2024, 1, 31)


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
def test_dates_are_told_as_dates_where_that_is_allowed(
    first: date | None, last: date | None, english: str, french: str
) -> None:
    assert asked_in_words(dated(first, last), NOTHING, about=ACQUIRED) == (english,)
    assert asked_in_words(dated(first, last), NOTHING, about=ACQUIRED, language="fr") == (french,)


@pytest.mark.parametrize(
    ("first", "last", "english", "french"),
    [
        (date(2020, 1, 31), None, "no earlier than 4 years before", "au plus tôt 4 ans avant"),
        (None, ACQUIRED, "no later than the same day", "au plus tard le même jour"),
        (
            date(2020, 1, 31),
            date(2022, 1, 31),
            "no earlier than 4 years before, no later than 2 years before",
            "au plus tôt 4 ans avant, au plus tard 2 ans avant",
        ),
    ],
)
def test_dates_are_told_as_how_far_they_lie_from_the_example_where_those_of_cases_are(
    first: date | None, last: date | None, english: str, french: str
) -> None:
    question = dated(first, last)
    assert asked_in_words(question, NOTHING, about=ACQUIRED, dates="relative") == (english,)
    assert asked_in_words(question, NOTHING, about=ACQUIRED, dates="relative", language="fr") == (french,)


@pytest.mark.parametrize(("dates", "about"), [("none", ACQUIRED), ("relative", None)])
def test_limits_whose_dates_are_not_to_be_told_are_said_all_the_same(
    dates: Dates, about: date | None
) -> None:
    question = dated(date(2020, 1, 2), date(2021, 3, 4))
    assert asked_in_words(question, NOTHING, about=about, dates=dates) == ("of a limited time",)
    [french] = asked_in_words(question, NOTHING, about=about, dates=dates, language="fr")
    assert french == "d'une période limitée"


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


def test_a_report_that_was_not_used_is_said_not_to_be() -> None:
    question = Question(EXAMPLE, reports=(REPORT,))
    unused = Answer((), None, (), 0.0, unused_reports="no_words")
    [english], [french] = (asked_in_words(question, unused, language=one) for one in ("en", "fr"))
    assert english.startswith("the report sent along was not used")
    assert french.startswith("le compte rendu joint n'a pas servi")
    assert is_by_likeness_alone(question, unused)
    assert not is_by_likeness_alone(question, NOTHING)


@pytest.mark.parametrize(
    ("more", "less", "english", "french"),
    [
        (1, 0, "more like 1 chosen case", "plus proches de 1 cas choisi"),
        (2, 1, "more like 2 chosen cases, less like 1", "plus proches de 2 cas choisis, moins de 1"),
        (0, 2, "less like 2 chosen cases", "moins proches de 2 cas choisis"),
    ],
)
def test_chosen_cases_are_counted_by_their_studies_and_not_named(
    more: int, less: int, english: str, french: str
) -> None:
    """Two series of one study are one case; where the question was refused only what was asked is known."""
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
    assert asked_in_words(question, answer) == (english,)
    assert asked_in_words(question, NOTHING, language="fr") == (french,)


def test_limits_come_first_and_without_an_example_the_words_do() -> None:
    filters = Filters(modality=("CT",))
    asked = asked_in_words(
        Question(EXAMPLE, filters=filters, text="bleeding", more=(chosen("a", "1"),), diversity=0.5), NOTHING
    )
    assert asked == ("CT only", "with the words “bleeding”", "more like 1 chosen case", "varied")
    alone = asked_in_words(Question(None, filters=filters, text="bleeding"), NOTHING, language="en")
    assert alone == ("with the words “bleeding”", "CT only")


def test_words_and_variety_decide_on_ranks_and_filters_do_not() -> None:
    assert is_by_likeness_alone(None, NOTHING)
    assert is_by_likeness_alone(
        Question(EXAMPLE, filters=Filters(modality=("CT",)), more=(chosen("a", "1"),)), NOTHING
    )
    assert not is_by_likeness_alone(Question(EXAMPLE, text="bleeding"), NOTHING)
    assert not is_by_likeness_alone(Question(EXAMPLE, diversity=0.1), NOTHING)
