"""The words of reports that come with a question are asked with as a text is."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from indexer.domain import EncoderVersion, Match
from indexer.errors import NotConfigured, Rejected
from indexer.ports import Caller
from indexer.search import Question
from indexer.search.judging import Judge
from indexer.search.knowing import Known
from tests.indexer.search.world import TRUSTED, World, about, chosen, studies

REPORT = {"modality": "SR", "kind": "report"}
KNOWS_NOTHING_OF_IT = Known(np.asarray([[0, 0, 1]], dtype=np.float32), least=0.9, close=0.99)


@pytest.fixture
def reading(world: World) -> World:
    world.encoder.texts = {"effusion": (0, 1, 0), "cardiomegaly": (0, 0, 1)}
    return world


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path


def report(folder: Path, text: str, *, study: str = "own", patient: str = "hers") -> Path:
    path = folder / f"{study} of {patient}"
    path.write_text(text)
    return path


def test_a_question_that_is_nothing_but_a_report_is_answered_as_its_text_would_be(
    reading: World, reports: Path
) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("2", (0, 1, 0.1))
    by_report = reading.search().similar(Question(None, reports=(report(reports, "effusion"),)), TRUSTED)
    by_text = reading.search().similar(Question(None, text="effusion"), TRUSTED)
    assert by_report.matches == by_text.matches
    assert [match.reference.study_instance_uid for match in by_report.matches] == ["2", "1"]
    assert by_report.example == ()


def test_the_archives_reports_answer_to_it_too(reading: World, reports: Path) -> None:
    reading.add("1", (0.2, 1, 0))
    reading.add("2", (1, 0, 0), series="image")
    reading.add("2", (0, 1, 0), series="report", **REPORT)
    question = Question(None, reports=(report(reports, "effusion"),))
    first = reading.search().similar(question, TRUSTED).matches[0]
    assert (first.reference.series_instance_uid, first.carried_by_report) == ("2.image", True)


def test_its_own_study_and_its_own_patient_are_no_similar_case(reading: World, reports: Path) -> None:
    reading.add("own", (0, 1, 0), series="image", patient="hers")
    reading.add("own", (0, 1, 0), series="report", patient="hers", **REPORT)
    reading.add("earlier", (0, 1, 0), patient="hers")
    reading.add("another's", (0, 1, 0.5), patient="his")
    told = (report(reports, "effusion"),)
    assert studies(reading, Question(None, reports=told)) == ["another's"]
    assert studies(reading, Question(None, text="effusion"))[:2] == ["earlier", "own"]


def test_the_weight_moves_from_the_example_to_the_report(reading: World, reports: Path) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("like the example", (1, 0.1, 0.2))
    reading.add("like the words", (0.4, 1, 0.2))
    for number in range(6):
        reading.add(f"between {number}", (1, 0.2, 0.8 + 0.1 * number))
    told = (report(reports, "effusion"),)
    first = {
        weight: studies(reading, about("1", reports=told, text_weight=weight))[0] for weight in (0.0, 1.0)
    }
    assert first == {0.0: "like the example", 1.0: "like the words"}
    with_text = about("1", text="effusion", text_weight=0.7)
    with_report = about("1", reports=told, text_weight=0.7)
    assert studies(reading, with_report) == studies(reading, with_text)


def test_beside_a_text_the_votes_of_both_are_averaged(reading: World, reports: Path) -> None:
    reading.add("by the text", (0.3, 1, 0))
    reading.add("by the report", (0.3, 0, 1))
    reading.add("by both", (0.3, 0.8, 0.8))
    question = Question(None, text="effusion", reports=(report(reports, "cardiomegaly"),))
    answer = reading.search().similar(question, TRUSTED)
    scores = {match.reference.study_instance_uid: match.score for match in answer.matches}
    length = (0.3**2 + 2 * 0.8**2) ** 0.5
    assert next(iter(scores)) == "by both"
    assert scores["by both"] == pytest.approx(0.8 / length)
    assert scores["by the text"] == pytest.approx(0.5 / 1.09**0.5)
    assert scores["by the report"] == pytest.approx(0.5 / 1.09**0.5)


def test_the_archives_reports_are_compared_with_both(reading: World, reports: Path) -> None:
    for study, told in (("one", (0, 1, 0)), ("both", (0, 1, 1))):
        reading.add(study, (1, 0, 0), series="image")
        reading.add(study, told, series="report", **REPORT)
    question = Question(None, text="effusion", reports=(report(reports, "cardiomegaly"),))
    answer = reading.search().similar(question, TRUSTED)
    scores = {match.reference.study_instance_uid: match.score for match in answer.matches}
    assert scores == pytest.approx({"both": 0.5**0.5, "one": 0.5})
    assert all(match.carried_by_report for match in answer.matches)


@pytest.mark.parametrize("beside", ["example", "text", "more"])
def test_a_report_without_words_is_left_out_beside_anything_else_and_the_answer_says_why(
    reading: World, reports: Path, beside: str, caplog: pytest.LogCaptureFixture
) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("2", (1, 0.2, 0))
    reading.add("3", (0, 1, 0.1))
    questions = {
        "example": lambda reports: about("1", reports=reports),
        "text": lambda reports: Question(None, text="effusion", reports=reports),
        "more": lambda reports: Question(None, more=chosen("1"), reports=reports),
    }
    without = reading.search().similar(questions[beside](()), TRUSTED)
    with caplog.at_level(logging.INFO):
        found = reading.search().similar(questions[beside]((report(reports, ""),)), TRUSTED)
    assert found.matches == without.matches
    assert (found.unused_reports, without.unused_reports) == ("empty_report", "")
    assert "reports_not_used reports=1 reason=empty_report" in caplog.text


def test_how_many_reports_are_asked_with_is_told(reading: World, reports: Path) -> None:
    reading.add("1", (0, 1, 0))
    told, silent = report(reports, "effusion"), report(reports, "", study="other")
    found = reading.search().similar(Question(None, reports=(told, silent)), TRUSTED)
    assert (found.read_reports, found.unused_reports) == (1, "")


def test_with_nothing_else_the_question_is_refused_with_the_reason(reading: World, reports: Path) -> None:
    with pytest.raises(Rejected) as refused:
        studies(reading, Question(None, reports=(report(reports, ""),)))
    assert refused.value.reason == "empty_report"


def test_where_no_encoder_reads_it_is_said_beside_an_example_too(world: World, reports: Path) -> None:
    world.add("1", (1, 0, 0))
    told = (report(reports, "effusion"),)
    for question in (about("1", reports=told), Question(None, reports=told)):
        with pytest.raises(NotConfigured):
            studies(world, question)


def test_an_outsider_is_judged_where_its_report_was_left_out_and_not_where_words_stand_beside_it(
    reading: World, reports: Path
) -> None:
    def known(_: EncoderVersion) -> Known:
        return KNOWS_NOTHING_OF_IT

    reading.judge = Judge(known=known)
    reading.add("1", (1, 0, 0))
    reading.add("2", (0, 1, 0))
    refused = {
        text: reading.search().similar(about("1", reports=(report(reports, text),)), TRUSTED).refused
        for text in ("", "effusion")
    }
    assert refused[""] is not None
    assert refused[""].reason == "unknown_to_encoder"
    assert refused["effusion"] is None


def test_a_report_that_the_caller_may_not_see_brings_no_study_nearer_whichever_words_it_answers_to(
    reading: World, reports: Path
) -> None:
    """A text and a report are asked with: the archive's reports are looked through for each of them."""
    credentials = {"Authorization": "Basic eA=="}
    caller = Caller("someone", credentials)
    reading.add_shown("nearer", (0.3, 0.5, 0.5), credentials)
    reading.add_shown("by the text", (1, 0.1, 0), credentials, series="image")
    reading.add_shown("by the report", (1, 0, 0.1), credentials, series="image")
    question = Question(None, text="effusion", reports=(report(reports, "cardiomegaly"),))
    expected = reading.search().similar(question, caller).matches
    reading.add("by the text", (0, 1, 0), series="report", **REPORT)
    reading.add("by the report", (0, 0, 1), series="report", **REPORT)
    assert reading.search().similar(question, caller).matches == expected
    assert expected[0].reference.study_instance_uid == "nearer"
    carried = {m.reference.study_instance_uid: m.carried_by_report for m in told_all(reading, question)}
    assert carried == {"by the text": True, "by the report": True, "nearer": False}


def told_all(world: World, question: Question) -> tuple[Match, ...]:
    """What somebody is shown who may see everything."""
    return world.search().similar(question, TRUSTED).matches
