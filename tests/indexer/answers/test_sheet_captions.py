from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from indexer.answers.example import read_example
from indexer.answers.illustrations import without_pictures
from indexer.answers.sheet_captions import Captions
from indexer.answers.words import Language
from indexer.domain import Answer, SequenceMatch, SeriesAttributes, SeriesReference
from tests.fakes.answers import answer_about, instance, uid, write

PLAIN = SeriesAttributes("MR", "HEAD")
T1 = replace(PLAIN, sequence="T1", plane="AXIAL")
CORONAL = replace(PLAIN, plane="CORONAL")


def captions(
    folder: Path, attributes: Sequence[SeriesAttributes], language: Language = "en", *, answered: int = 3
) -> Captions:
    """A sheet about several series, of which the first ones are answered by a case each."""
    paths = write(folder, *(instance("asked", str(n)) for n in range(1, len(attributes) + 1)))
    plain = answer_about(paths, matches=min(answered, len(attributes)))
    example = tuple(
        replace(
            plain.example[0],
            reference=SeriesReference(uid("asked"), uid("asked", str(n)), f"example-{n}"),
            attributes=one,
            frames=plain.example[0].frames[n - 1 : n],
        )
        for n, one in enumerate(attributes, start=1)
    )
    matches = tuple(
        replace(
            match,
            answers=example[place].reference,
            example_frame=example[place].frames[0],
            sequences=tuple(
                SequenceMatch(e.reference, e.attributes, match.reference, match.attributes, 0.9, is_like=True)
                for e in (*example[place:], *example[:place])
            ),
        )
        for place, match in enumerate(plain.matches)
    )
    answer: Answer = replace(plain, example=example, matches=matches)
    return Captions(answer, without_pictures(read_example(paths), answer), language, "none")


def of_asked(made: Captions) -> list[str]:
    return [made.of_asked(asked) for asked in made.illustrated.asked]


def test_series_without_a_sequence_are_told_apart_by_their_number(tmp_path: Path) -> None:
    made = captions(tmp_path, [PLAIN, T1, PLAIN])
    assert of_asked(made) == ["A  MR, series 1", "B  T1 axial", "C  MR, series 3"]
    assert of_asked(captions(tmp_path, [PLAIN, PLAIN], "fr")) == ["A  MR, série 1", "B  MR, série 2"]


def test_series_of_the_same_plane_are_told_apart_too(tmp_path: Path) -> None:
    assert of_asked(captions(tmp_path, [CORONAL, CORONAL, T1])) == [
        "A  coronal, series 1",
        "B  coronal, series 2",
        "C  T1 axial",
    ]


def test_the_only_series_needs_no_number(tmp_path: Path) -> None:
    assert of_asked(captions(tmp_path, [T1])) == ["T1 axial"]
    assert of_asked(captions(tmp_path, [PLAIN])) == [""]


def test_one_of_several_series_is_named_without_a_letter(tmp_path: Path) -> None:
    assert of_asked(captions(tmp_path, [PLAIN, T1], answered=1)) == ["MR, series 1"]


def test_the_series_of_the_example_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    made = captions(tmp_path, [T1, PLAIN, CORONAL])
    assert list(made.of_example(3)) == ["T1 axial · 1 frame", "MR, series 2 · 1 frame", "coronal · 1 frame"]
    assert list(made.of_example(2)) == ["T1 axial · 1 frame", "and 2 more series"]


def test_a_case_says_which_series_carried_it(tmp_path: Path) -> None:
    made = captions(tmp_path, [T1, PLAIN, CORONAL])
    lines = [list(made.of_match(shown)) for shown in made.illustrated.matches]
    assert [line[-1] for line in lines] == [
        "by series A T1, also B, C",
        "by series B, also C, A T1",
        "by series C, also A T1, B",
    ]


def test_a_series_whose_frame_is_not_shown_is_named_by_what_is_known(tmp_path: Path) -> None:
    made = captions(tmp_path, [T1, PLAIN, CORONAL], answered=1)
    [line] = [list(made.of_match(shown))[-1] for shown in made.illustrated.matches]
    assert line == "by series T1, also 2, coronal"


def test_sequences_and_planes_are_said_in_the_language_of_the_sheet(tmp_path: Path) -> None:
    contrast = SeriesAttributes("CT", "CHEST", sequence="CONTRAST", plane="AXIAL")
    frontal = SeriesAttributes("CR", "CHEST", plane="FRONTAL")
    expected: dict[Language, list[str]] = {
        "en": ["contrast axial", "frontal"],
        "fr": ["avec contraste axial", "face"],
    }
    for language, said in expected.items():
        made = of_asked(captions(tmp_path, [contrast, frontal], language))
        assert [one[3:] for one in made] == said
