"""Only the words of the standard are kept; a name is none of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.codes import MODALITIES, body_part_code, modality_code, uid_or_empty


@pytest.mark.parametrize(
    "text", ["CHEST", " chest ", "WHOLE BODY", "CSPINE", "HEAD_NECK", "L-SPINE", "Left Knee"]
)
def test_a_body_part_of_anatomical_words_is_kept_as_it_was_written(text: str) -> None:
    assert body_part_code(text) == text.strip().upper()


@pytest.mark.parametrize(
    "text", ["", "DOE JOHN", "CHEST DOE", "MILLER", "19700101", "CHEST 4711", "-", "CHEST " * 9]
)
def test_anything_else_is_no_body_part(text: str) -> None:
    assert body_part_code(text) == ""


@pytest.mark.parametrize(
    ("text", "code"), [("ct ", "CT"), ("RTIMAGE", "RTIMAGE"), ("DOE", ""), ("MR?", ""), ("", "")]
)
def test_a_modality_is_one_of_the_standards(text: str, code: str) -> None:
    assert modality_code(text) == code


@given(st.text(max_size=20))
def test_what_is_kept_is_always_a_known_modality(text: str) -> None:
    assert modality_code(text) in {"", *MODALITIES}


@pytest.mark.parametrize(
    ("text", "uid"), [("1.2.840", "1.2.840"), ("1.2.DOE", ""), ("1." * 33, ""), ("1.2\n", "")]
)
def test_a_uid_is_digits_and_dots(text: str, uid: str) -> None:
    assert uid_or_empty(text) == uid
