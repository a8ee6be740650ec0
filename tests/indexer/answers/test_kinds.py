from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.answers.kinds import is_hardly_alike, is_other_kind
from indexer.domain import SeriesAttributes
from tests.fakes.answers import answer_about, instance, write


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
