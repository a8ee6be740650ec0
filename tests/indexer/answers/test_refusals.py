"""Why a question is refused, in both languages, and that the sheet says it."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

import indexer
from indexer.answers.canvas import STRONG
from indexer.answers.example import read_example
from indexer.answers.illustrations import Pixels, without_pictures
from indexer.answers.refusals import IN_ENGLISH, IN_FRENCH, refusal_in_words
from indexer.answers.sheet_layout import SheetStyle, draw_sheet
from indexer.answers.words import Language
from indexer.domain import Refusal
from indexer.search.judging import REFUSED
from inference.text import NO_TEXT_ENCODER
from tests.fakes.answers import answer_about, instance, write
from tests.fakes.drawn import BESIDE, is_drawn, says_why

LANGUAGES: tuple[Language, ...] = ("en", "fr")
CREATED = datetime(2026, 2, 3, 4, 5, 6)
ROOM = Path(indexer.__file__).parent


def given_in(module: str, kind: str) -> set[str]:
    """The reasons that a module gives to errors or refusals of one kind."""
    calls = [node for node in ast.walk(ast.parse((ROOM / module).read_text())) if isinstance(node, ast.Call)]
    return {
        keyword.value.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == kind
        for keyword in call.keywords
        if keyword.arg == "reason"
        and isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
    }


JUDGED = given_in("search/judging.py", "Refusal")
OF_THE_AE = given_in("ae/steps.py", "Rejected") | {
    *given_in("search/regions.py", "Rejected"),
    *given_in("ae/answering.py", "Unsupported"),
    *(
        "unsupported",
        "unreadable_report",
        "not_configured",
        "unknown_words",
        "encoder_unavailable",
        "archive_unavailable",
        "vector_index_unavailable",
    ),
}


def sheet_of(folder: Path, refusal: Refusal, style: SheetStyle) -> Pixels:
    paths = write(folder, instance("asked"))
    answer = replace(answer_about(paths, matches=0), refused=refusal)
    pictures = without_pictures(read_example(paths), answer)
    return draw_sheet(answer, pictures, style=style)


def test_there_are_the_reasons_that_are_looked_for() -> None:
    assert {"unknown_to_encoder", "no_nearer_than_chance"} == JUDGED
    assert {"gave_up", "region_not_seen", "no_case_flagged"} <= OF_THE_AE


@pytest.mark.parametrize("reason", sorted({*REFUSED, *JUDGED, *OF_THE_AE}))
def test_every_reason_has_a_french_sentence_and_the_sheet_says_it(tmp_path: Path, reason: str) -> None:
    english = REFUSED.get(reason, "Nothing in this archive is like it.")
    refusal = Refusal(reason, english)
    assert IN_FRENCH[reason] == refusal_in_words(refusal, "fr") != english
    assert refusal_in_words(refusal, "en") == IN_ENGLISH.get(reason, english)
    shown = sheet_of(tmp_path, refusal, SheetStyle("fr"))
    assert says_why(shown, IN_FRENCH[reason])
    assert not says_why(shown, english)
    assert is_drawn(shown, "Aucun cas semblable n'est montré.", 50, weight=STRONG, width=BESIDE)


def test_an_english_sheet_says_the_sentence_that_came_with_the_refusal(tmp_path: Path) -> None:
    shown = sheet_of(tmp_path, Refusal("blank_frame", REFUSED["blank_frame"]), SheetStyle("en"))
    assert says_why(shown, REFUSED["blank_frame"])
    assert not says_why(shown, IN_FRENCH["blank_frame"])


def test_words_that_nobody_reads_are_explained_to_who_asked_without_a_command(tmp_path: Path) -> None:
    """The commands that the refusal comes with are for the administrator."""
    refusal = Refusal("not_configured", NO_TEXT_ENCODER)
    for language in LANGUAGES:
        said = refusal_in_words(refusal, language)
        assert "AE" in said
        assert "cbir train" not in said
        assert says_why(sheet_of(tmp_path / language, refusal, SheetStyle(language)), said)
    assert refusal_in_words(refusal, "en") != refusal_in_words(refusal, "fr")


def test_a_reason_without_words_of_its_own_is_named_in_french(tmp_path: Path) -> None:
    refusal = Refusal("other_series", "By its header the instance belongs to another series.")
    said = refusal_in_words(refusal, "fr")
    assert "other_series" in said
    assert "header" not in said
    assert says_why(sheet_of(tmp_path, refusal, SheetStyle("fr")), said)
