"""How a question was asked, on the contact sheet: below the title, or in the place of the example."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import BasicTextSRStorage

from indexer.answers.canvas import ACCENT, PANEL, QUIET, STRONG, WARM, Canvas
from indexer.answers.example import read_example
from indexer.answers.illustrations import Pixels, without_pictures
from indexer.answers.sheet import contact_sheet
from indexer.answers.sheet_example import WORDS_SIZE
from indexer.answers.sheet_frame import COLUMN, GUTTER, MARGIN, WIDTH
from indexer.answers.sheet_header import ASKED_SIZE, MOST_ASKED_LINES, flowed
from indexer.answers.sheet_layout import SheetStyle, draw_sheet
from indexer.answers.words import Language
from indexer.domain import Answer, Filters, Refusal, SeriesReference
from indexer.search.question import MAX_TEXT, ExampleReference, Question
from tests.fakes.answers import answer_about, instance, uid, write
from tests.fakes.drawn import is_drawn

DCIODVFY = shutil.which("dciodvfy", path="/usr/bin")
REPORT = Path("report.dcm")
ONLY_CT = Filters(modality=("CT",))
ACQUIRED = date(2024, 1, 31)
EVERYTHING = Filters(
    modality=("CT", "MR", "PT", "NM", "US"),
    body_part_examined=("UPPER EXTREMITY", "CERVICAL SPINE", "ABDOMEN AND PELVIS", *("HEAD",) * 30),
    study_date_from=date(2011, 1, 1),
    study_date_to=date(2023, 6, 30),
)
TEXTS = ("haemorrhage with mass effect " * 69, "h" * MAX_TEXT, "出血" * 1000)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, ...]:
    return write(tmp_path / "q", instance("asked", number=1), instance("asked", number=2))


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, ...]:
    """A study of which only the report was sent."""
    return write(tmp_path / "r", instance("asked", Modality="SR", SOPClassUID=BasicTextSRStorage))


def sheet(
    paths: tuple[Path, ...],
    question: Question | None,
    answer: Answer | None = None,
    style: SheetStyle | None = None,
) -> Pixels:
    answer = answer or answer_about(paths)
    pictures = without_pictures(read_example(paths), answer)
    return draw_sheet(answer, pictures, style=style or SheetStyle(), question=question, about=ACQUIRED)


def by_words(paths: tuple[Path, ...], *, matches: int = 3) -> Answer:
    """An answer to words alone: no match answers a series."""
    plain = answer_about(paths, matches=matches)
    found = tuple(replace(match, answers=None, example_frame=None) for match in plain.matches)
    return replace(plain, example=(), matches=found)


def chosen(name: str) -> ExampleReference:
    return ExampleReference(series_instance_uid=uid(name, "1"))


def everything(example: tuple[Path, ...] | None, text: str) -> Question:
    return Question(
        example,
        filters=EVERYTHING,
        text=text,
        reports=(REPORT,) * 3,
        more=(chosen("one"), chosen("two")),
        less=(chosen("three"),),
        diversity=0.5,
    )


def test_a_plain_question_has_the_sheet_that_it_always_had(paths: tuple[Path, ...]) -> None:
    plain = sheet(paths, Question(paths, same_patient=True))
    assert np.array_equal(plain, sheet(paths, None))
    assert not is_drawn(plain, "Asked:", ASKED_SIZE, colour=WARM, weight=STRONG)


@pytest.mark.parametrize(
    ("language", "label", "line"),
    [
        ("en", "Asked:", "CT only · since 2020-01-31 · varied"),
        ("fr", "Demandé :", "CT seulement · depuis le 31/01/2020 · variés"),
    ],
)
def test_how_it_was_asked_stands_below_the_title(
    paths: tuple[Path, ...], language: Language, label: str, line: str
) -> None:
    filters = replace(ONLY_CT, study_date_from=date(2020, 1, 31))
    question = Question(paths, filters=filters, diversity=0.5)
    head = sheet(paths, question, style=SheetStyle(language))[:200]
    assert is_drawn(head, label, ASKED_SIZE, colour=WARM, weight=STRONG)
    assert is_drawn(head, line, ASKED_SIZE)


def test_it_is_said_of_a_refusal_and_where_nothing_was_found_too(paths: tuple[Path, ...]) -> None:
    question, none = Question(paths, filters=ONLY_CT), answer_about(paths, matches=0)
    refused = replace(none, example=(), refused=Refusal("no_encoder", "No encoder takes this modality."))
    for answer in (none, refused):
        assert is_drawn(sheet(paths, question, answer)[:200], "CT only", ASKED_SIZE)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("text", TEXTS)
def test_everything_at_once_finds_room_and_only_the_text_is_shortened(
    paths: tuple[Path, ...], language: Language, text: str
) -> None:
    chosen_series = SeriesReference(uid("one"), uid("one", "1"), "one")
    answer = replace(answer_about(paths), more=(chosen_series,), less=())
    shown = sheet(paths, everything(paths, text[:MAX_TEXT]), answer, SheetStyle(language))
    plain = sheet(paths, None, answer, SheetStyle(language))
    assert 0 < shown.shape[0] - plain.shape[0] <= MOST_ASKED_LINES * 50
    assert (shown[:, WIDTH - MARGIN + 4 :] == shown[0, 0]).all()
    ends = {"en": ("or 30 others only", "varied"), "fr": ("ou 30 autres seulement", "variés")}
    for end in ends[language]:
        assert is_drawn(shown[:300], end, ASKED_SIZE)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The report that was sent was not used: it cannot be read."),
        ("fr", "Le compte rendu envoyé n'a pas servi\N{NO-BREAK SPACE}: il est illisible."),
    ],
)
def test_a_report_that_was_left_out_has_a_line_of_its_own_and_was_not_asked_with(
    paths: tuple[Path, ...], language: Language, sentence: str
) -> None:
    answer, style = replace(answer_about(paths), unused_reports="unreadable_report"), SheetStyle(language)
    label = {"en": "Asked:", "fr": "Demandé :"}[language]
    for filters, is_asked in ((Filters(), False), (ONLY_CT, True)):
        shown = sheet(paths, Question(paths, reports=(REPORT,), filters=filters), answer, style)
        assert is_drawn(shown[:230], sentence, ASKED_SIZE)
        assert is_drawn(shown[:230], label, ASKED_SIZE, colour=WARM, weight=STRONG) == is_asked


def test_phrases_are_broken_between_lines_and_only_a_long_one_within() -> None:
    ruler = Canvas(1, 1)
    width = ruler.width_of("with the words “a very long one”", 30)
    lines = flowed(
        ("CT only", "varied", "with the words “a very long one that goes on”", "since 2020"), 30, width
    )
    assert lines == ["CT only · varied", "with the words “a very long one", "that goes on” · since 2020"]
    assert all(ruler.width_of(line, 30) <= width for line in lines)


def test_a_no_break_space_keeps_the_quotes_at_their_words() -> None:
    lines = Canvas(1, 1).wrapped("avec «\N{NO-BREAK SPACE}des mots\N{NO-BREAK SPACE}»", 30, 1)
    assert lines == ["avec", "«\N{NO-BREAK SPACE}des", "mots\N{NO-BREAK SPACE}»"]


@pytest.mark.parametrize(
    ("language", "heading", "phrases", "cases"),
    [
        (
            "en",
            "Asked",
            ("With the words “haemorrhage”", "With the words of the report", "CT only"),
            "Best answers, of other patients",
        ),
        (
            "fr",
            "Demandé",
            ("Avec les mots du compte rendu", "CT seulement"),
            "Les meilleures réponses, chez d'autres patients",
        ),
    ],
)
def test_a_question_in_words_has_them_in_the_place_of_the_example(
    paths: tuple[Path, ...],
    reports: tuple[Path, ...],
    language: Language,
    heading: str,
    phrases: tuple[str, ...],
    cases: str,
) -> None:
    question = Question(None, text="haemorrhage", reports=reports, filters=ONLY_CT)
    answer = by_words(paths)
    pictures = without_pictures(read_example(reports), answer)
    shown = draw_sheet(answer, pictures, style=SheetStyle(language), question=question)
    assert is_drawn(shown, heading, 28, colour=ACCENT, weight=STRONG)
    assert is_drawn(shown, cases, 28, colour=ACCENT, weight=STRONG)
    for phrase in phrases:
        assert is_drawn(shown, phrase, WORDS_SIZE, ground=PANEL)
    assert not is_drawn(shown[:200], f"{heading}:", ASKED_SIZE, colour=WARM, weight=STRONG)


@pytest.mark.parametrize("text", TEXTS)
def test_the_panel_takes_any_text_and_ends_where_the_third_case_does(
    paths: tuple[Path, ...], reports: tuple[Path, ...], text: str
) -> None:
    answer = by_words(paths, matches=5)
    pictures = without_pictures(read_example(reports), answer)
    question = everything(None, text[:MAX_TEXT])
    shown = draw_sheet(answer, pictures, style=SheetStyle(), question=question)
    rows, right = rows_of_the_panel(shown), MARGIN + 3 * COLUMN + 2 * GUTTER
    on_it = shown[rows, MARGIN + 6 : right]
    assert (on_it[:, -8:] == PANEL).all()
    assert is_drawn(on_it, "Varied", WORDS_SIZE, ground=PANEL)
    assert not (shown[rows, right:] == PANEL).all(axis=2).any()
    assert (shown[:, WIDTH - MARGIN + 4 :] == shown[0, 0]).all()


def rows_of_the_panel(shown: Pixels) -> slice:
    """By its left edge, where nothing is written."""
    of_it = np.flatnonzero((shown[:, MARGIN + 8 : MARGIN + 16] == PANEL).all(axis=(1, 2)))
    runs = np.split(of_it, np.flatnonzero(np.diff(of_it) > 1) + 1)
    longest = max(runs, key=len)
    return slice(int(longest[0]), int(longest[-1]) + 1)


def test_the_panel_of_a_refusal_is_as_high_as_what_is_said_beside_it(
    paths: tuple[Path, ...], reports: tuple[Path, ...]
) -> None:
    question = Question(None, reports=reports)
    heights = []
    for sentence in ("There are no words in it.", "There are no words in it. " * 12):
        refused = replace(by_words(paths, matches=0), refused=Refusal("no_words", sentence))
        pictures = without_pictures(read_example(reports), refused)
        shown = draw_sheet(refused, pictures, style=SheetStyle(), question=question)
        assert is_drawn(shown, "With the words of the report", WORDS_SIZE, ground=PANEL)
        assert is_drawn(shown, "No similar cases are shown.", 50, weight=STRONG)
        rows = rows_of_the_panel(shown)
        heights.append(rows.stop - rows.start)
    assert heights[0] + 200 < heights[1]


@pytest.mark.parametrize(
    ("question", "language", "said"),
    [
        (
            Question((REPORT,), filters=ONLY_CT),
            "en",
            "ranked by visual likeness alone, computed without review",
        ),
        (
            Question((REPORT,), text="haemorrhage"),
            "en",
            "ranked by computed likeness to what was asked, without review",
        ),
        (
            Question((REPORT,), more=(chosen("one"),)),
            "en",
            "ranked by computed likeness to what was asked, without review",
        ),
        (
            Question((REPORT,), diversity=0.5),
            "fr",
            "classés par ressemblance calculée avec ce qui est demandé, sans relecture",
        ),
    ],
)
def test_what_decides_on_the_ranks_is_said_as_it_is(
    paths: tuple[Path, ...], question: Question, language: Language, said: str
) -> None:
    assert is_drawn(sheet(paths, question, style=SheetStyle(language)), said, 26, colour=QUIET)


def test_a_sheet_about_a_report_alone_is_valid_and_names_no_source_image(
    paths: tuple[Path, ...], reports: tuple[Path, ...], tmp_path: Path
) -> None:
    if DCIODVFY is None:
        pytest.fail("dciodvfy (dicom3tools) must be installed in /usr/bin")
    example, answer = read_example(reports), by_words(paths)
    made = contact_sheet(
        example,
        answer,
        without_pictures(example, answer),
        question_id="q1",
        created=datetime(2026, 2, 3, 4, 5, 6),
        question=Question(None, reports=reports),
    )
    made.save_as(tmp_path / "sheet.dcm", enforce_file_format=True)
    run = subprocess.run([DCIODVFY, str(tmp_path / "sheet.dcm")], capture_output=True, text=True, check=False)
    assert [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")] == []
    assert "SourceImageSequence" not in made
    [series] = made.ReferencedSeriesSequence
    assert series.ReferencedInstanceSequence[0].ReferencedSOPClassUID == BasicTextSRStorage
    assert made.ImageComments.startswith("Not for diagnosis: ranked by computed likeness to what was asked")
