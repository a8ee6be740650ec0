"""Which cases are no similar ones: hardly alike, or of a kind that was neither asked about nor for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.answers.kinds import is_hardly_alike, is_other_kind
from indexer.domain import Filters, SeriesAttributes
from indexer.search.question import ExampleReference, Question
from tests.fakes.answers import answer_about, instance, uid, write

EXAMPLE = (Path("example.dcm"),)
CHOSEN = (ExampleReference(series_instance_uid=uid("chosen", "1")),)


@pytest.mark.parametrize(
    ("asked", "found", "is_other"),
    [("MR", "CR", True), ("MR", "MR", False), ("CR", "DX", False), ("MR", "", False), ("", "MR", False)],
)
def test_another_modality_is_another_kind_of_image(
    tmp_path: Path, asked: str, found: str, is_other: bool
) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    answer = replace(
        answer, example=(replace(answer.example[0], attributes=SeriesAttributes(asked, "HEAD")),)
    )
    match = replace(answer.matches[0], attributes=SeriesAttributes(found, "HEAD"), percent=99.9)
    assert is_other_kind(match, answer) == is_hardly_alike(match, answer) == is_other


def test_a_common_likeness_is_hardly_alike_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    [match] = answer.matches
    found = [is_hardly_alike(replace(match, percent=percent), answer) for percent in (79.9, 80.0, None)]
    assert found == [True, False, False]


def test_no_case_is_of_another_kind_where_its_kind_was_asked_for(tmp_path: Path) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    answer = replace(answer, example=(replace(answer.example[0], attributes=SeriesAttributes("MR", "HEAD")),))
    match = replace(answer.matches[0], attributes=SeriesAttributes("CT", "ABDOMEN"), percent=None)
    only_ct = Question(EXAMPLE, filters=Filters(modality=("CT",)))
    for judged in (is_other_kind, is_hardly_alike):
        assert judged(match, answer, Question(EXAMPLE, filters=Filters(body_part_examined=("ABDOMEN",))))
        assert not judged(match, answer, only_ct)
    assert is_hardly_alike(replace(match, percent=79.9), answer, only_ct)


@pytest.mark.parametrize(
    "question",
    [
        Question(EXAMPLE, more=CHOSEN),
        Question(EXAMPLE, less=CHOSEN),
        Question(EXAMPLE, text="haemorrhage"),
        Question(EXAMPLE, reports=EXAMPLE),
    ],
)
def test_where_words_or_chosen_cases_were_asked_with_no_case_is_set_apart_and_its_kind_is_told(
    tmp_path: Path, question: Question
) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    answer = replace(answer, example=(replace(answer.example[0], attributes=SeriesAttributes("MR", "HEAD")),))
    match = replace(answer.matches[0], attributes=SeriesAttributes("CT", "ABDOMEN"), percent=12.0)
    assert not is_hardly_alike(match, answer, question)
    assert is_other_kind(match, answer, question)
    left_out = replace(answer, unused_reports="empty_report")
    assert is_hardly_alike(match, left_out, question) == bool(question.reports)
