"""What stands where on the contact sheet: similar cases, those that hardly are, and how to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.answers.canvas import ACCENT, QUIET, STRONG, Colour
from indexer.answers.disclosure import WHOLE, Disclosure
from indexer.answers.example import read_example
from indexer.answers.illustrations import Illustrated, Picture, Pixels, without_pictures
from indexer.answers.sheet_layout import SheetStyle, draw_sheet
from indexer.answers.sheet_words import words_in
from indexer.answers.words import Language
from indexer.domain import Answer, Filters, SeriesAttributes
from indexer.search.question import ExampleReference, Question
from tests.fakes.answers import answer_about, instance, uid, write
from tests.fakes.drawn import is_drawn

COLOURS: Sequence[Colour] = ((200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200))
Percents = Sequence[float | None]


def answered(folder: Path, percents: Percents, *, series: int = 1) -> tuple[Answer, Illustrated]:
    """Cases of these percentages in rank order, each a picture of its own colour; the example is grey."""
    paths = write(folder, instance("asked"))
    plain = answer_about(paths, matches=len(percents))
    answer = replace(
        plain,
        example=plain.example * series,
        matches=tuple(
            replace(match, percent=percent) for match, percent in zip(plain.matches, percents, strict=True)
        ),
    )
    pictures = without_pictures(read_example(paths), answer)
    return answer, Illustrated(
        tuple(replace(asked, picture=painted((120, 120, 120))) for asked in pictures.asked),
        tuple(
            replace(shown, picture=painted(colour))
            for shown, colour in zip(pictures.matches, COLOURS, strict=False)
        ),
        (),
    )


def painted(colour: Colour) -> Picture:
    return Picture(np.full((64, 64, 3), colour, np.uint8), Disclosure(64, 64, is_lossy=False, parts=WHOLE))


def drawn(folder: Path, percents: Percents, *, series: int = 1, language: Language = "en") -> Pixels:
    answer, pictures = answered(folder, percents, series=series)
    return draw_sheet(answer, pictures, style=SheetStyle(language))


def row_of(shown: Pixels, colour: Colour) -> float:
    rows, _ = np.nonzero((shown == colour).all(axis=2))
    assert rows.size > 5000, f"nothing of {colour} is seen"
    return float(rows.mean())


def dimmed(colour: Colour) -> Colour:
    red, green, blue = colour
    return red // 2, green // 2, blue // 2


def test_cases_that_are_hardly_alike_stand_dimmed_below_the_others(tmp_path: Path) -> None:
    """The second by rank too: it is the percentage that says how alike a case is."""
    shown = drawn(tmp_path, [99.5, 40.0, 96.0, 79.9])
    similar = [row_of(shown, COLOURS[place]) for place in (0, 2)]
    hardly = [row_of(shown, dimmed(COLOURS[place])) for place in (1, 3)]
    assert max(similar) + 300 < min(hardly)
    assert not (shown == COLOURS[1]).all(axis=2).any()
    assert is_drawn(shown, "Hardly alike", 28, colour=QUIET, weight=STRONG)
    assert is_drawn(shown, "Most alike, of other patients", 28, colour=ACCENT, weight=STRONG)


def test_another_kind_of_image_is_hardly_alike_even_where_no_percentage_is_known(tmp_path: Path) -> None:
    answer, pictures = answered(tmp_path, [None, None])
    chest = replace(pictures.matches[0].match, attributes=SeriesAttributes("CR", "CHEST"))
    mixed = replace(pictures, matches=(replace(pictures.matches[0], match=chest), pictures.matches[1]))
    shown = draw_sheet(answer, mixed, style=SheetStyle())
    assert row_of(shown, dimmed(COLOURS[0])) > row_of(shown, COLOURS[1]) + 300
    assert is_drawn(shown, "another kind of image", 28, colour=QUIET, weight=STRONG)


def test_images_of_the_kind_that_was_asked_for_are_similar_cases(tmp_path: Path) -> None:
    """They are not like the example, and that was known when they were asked for."""
    answer, pictures = answered(tmp_path, [None, None])
    chest = tuple(
        replace(one, match=replace(one.match, attributes=SeriesAttributes("CR", "CHEST")))
        for one in pictures.matches
    )
    question = Question((Path("example.dcm"),), filters=Filters(modality=("CR",)))
    projections = replace(pictures, matches=chest)
    shown = draw_sheet(answer, projections, style=SheetStyle(), question=question)
    assert is_drawn(shown, "Similar prior cases", 54, weight=STRONG)
    assert is_drawn(shown, "Most alike, of other patients", 28, colour=ACCENT, weight=STRONG)
    assert row_of(shown, COLOURS[0]) == pytest.approx(row_of(shown, COLOURS[1]))
    unasked = draw_sheet(answer, projections, style=SheetStyle())
    assert is_drawn(unasked, "No similar prior case", 54, weight=STRONG)


@pytest.mark.parametrize(
    ("language", "title", "heading", "likeness"),
    [
        ("en", "Similar prior cases", "Best answers, of other patients", "hardly alike"),
        (
            "fr",
            "Cas antérieurs semblables",
            "Les meilleures réponses, chez d'autres patients",
            "peu ressemblant",
        ),
    ],
)
def test_where_cases_were_chosen_all_stand_in_rank_order(
    tmp_path: Path, language: Language, title: str, heading: str, likeness: str
) -> None:
    """A case that is like the chosen one need not be like the example; how alike it is, it says itself."""
    answer, pictures = answered(tmp_path, [40.0, 99.5, 12.0])
    more = (ExampleReference(series_instance_uid=uid("chosen", "1")),)
    shown = draw_sheet(
        answer, pictures, style=SheetStyle(language), question=Question((Path("example.dcm"),), more=more)
    )
    rows = [row_of(shown, COLOURS[place]) for place in range(3)]
    assert rows == pytest.approx([rows[0]] * 3)
    columns = [np.nonzero((shown == COLOURS[place]).all(axis=2))[1].mean() for place in range(3)]
    assert columns == sorted(columns)
    assert is_drawn(shown, title, 54, weight=STRONG)
    assert is_drawn(shown, heading, 28, colour=ACCENT, weight=STRONG)
    assert is_drawn(shown, likeness, 32, weight=STRONG)


@pytest.mark.parametrize("percents", [[99.5, 80.0], [None, None]])
def test_without_such_cases_there_is_no_such_heading(tmp_path: Path, percents: Percents) -> None:
    shown = drawn(tmp_path, percents)
    assert not is_drawn(shown, "Hardly alike", 28, colour=QUIET, weight=STRONG)
    assert row_of(shown, COLOURS[0]) == pytest.approx(row_of(shown, COLOURS[1]))


def test_where_all_are_hardly_alike_nothing_is_called_most_alike(tmp_path: Path) -> None:
    shown = drawn(tmp_path, [70.0, 12.0])
    assert not is_drawn(shown, "Most alike, of other patients", 28, colour=ACCENT, weight=STRONG)
    assert is_drawn(shown, "No similar prior case", 54, weight=STRONG)


@pytest.mark.parametrize(
    ("percents", "language", "title"),
    [
        ([99.5, 40.0, 96.0, 79.9], "en", "2 similar prior cases"),
        ([99.5, 40.0], "en", "1 similar prior case"),
        ([99.5, 96.0, 40.0], "fr", "2 cas antérieurs semblables"),
        ([40.0], "fr", "Aucun cas antérieur semblable"),
        ([99.5, None, 40.0], "en", "1 similar prior case"),
        ([None, 40.0], "en", "Similar prior cases"),
        ([None, None], "en", "Similar prior cases"),
    ],
)
def test_the_title_counts_the_similar_cases_only(
    tmp_path: Path, percents: Percents, language: Language, title: str
) -> None:
    assert is_drawn(drawn(tmp_path, percents, language=language), title, 54, weight=STRONG)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_legend_says_that_ranks_and_percentages_go_by_different_series(
    tmp_path: Path, language: Language
) -> None:
    said = words_in(language).legend_rank
    one, several, unknown = (
        drawn(tmp_path, percents, series=series, language=language)
        for percents, series in (([99.5], 1), ([99.5], 3), ([None], 3))
    )
    width = 2048 - 2 * 48 - 764 - 28
    assert is_drawn(several, said, 32, colour=QUIET, width=width)
    assert not is_drawn(one, said, 32, colour=QUIET, width=width)
    assert not is_drawn(unknown, said, 32, colour=QUIET, width=width)


def test_beside_the_only_picture_the_series_of_the_example_are_listed(tmp_path: Path) -> None:
    one, several = (drawn(tmp_path, [99.5], series=series) for series in (1, 9))
    for text in ("Asked about:", "and 4 more series"):
        assert is_drawn(several, text, 32, colour=QUIET)
        assert not is_drawn(one, text, 32, colour=QUIET)


def test_of_which_pairs_a_percentage_is_stands_in_full(tmp_path: Path) -> None:
    answer, pictures = answered(tmp_path, [99.5, 96.0, 96.0, 96.0, 96.0])
    wide = tuple(
        replace(shown, match=replace(shown.match, percent_of="modality")) for shown in pictures.matches
    )
    shown = draw_sheet(answer, replace(pictures, matches=wide), style=SheetStyle("fr"))
    assert is_drawn(shown, "de cette modalité", 26)


def test_beside_a_percentage_of_all_pairs_the_score_stands_in_the_place_of_a_word(tmp_path: Path) -> None:
    """To be more alike than pairs of all kinds says little, and to be less alike says it too."""
    answer, pictures = answered(tmp_path, [99.5, 40.0])
    weak = tuple(
        replace(shown, match=replace(shown.match, percent_of="archive")) for shown in pictures.matches
    )
    shown = draw_sheet(answer, replace(pictures, matches=weak), style=SheetStyle("en"))
    assert is_drawn(shown, "score 0.90", 32, weight=STRONG)
    assert is_drawn(shown, "more alike than 99.5 % of all pairs", 26)
    assert not is_drawn(shown, "Hardly alike", 28, colour=QUIET, weight=STRONG)
    assert is_drawn(shown, "Similar prior cases", 54, weight=STRONG)


def test_the_one_picture_of_the_example_is_as_wide_as_two_cases(tmp_path: Path) -> None:
    shown = drawn(tmp_path, [99.5, 96.0, 95.0, 95.0, 95.0])
    _, columns = np.nonzero((shown == (120, 120, 120)).all(axis=2))
    _, of_the_second = np.nonzero((shown == COLOURS[1]).all(axis=2))
    assert columns.max() == of_the_second.max()
