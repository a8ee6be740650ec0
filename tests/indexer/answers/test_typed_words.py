"""What a person types about key images on a workstation is known, and nothing else that documents say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from indexer.answers.documents import LARGEST_BYTES
from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER
from indexer.answers.typed_words import typed_words
from indexer.search.question import MAX_TEXT
from tests.fakes.answers import instance, write
from tests.fakes.key_objects import by_highdicom, key_object
from tests.fakes.reports import report

INTEREST, TEACHING = "113000", "113004"


def typed(folder: Path, *datasets: Dataset) -> str:
    paths = write(folder / generate_uid(), *datasets)
    return typed_words(list(zip(paths, read_example(paths).instances, strict=True)))


def test_what_a_toolkit_writes_as_the_description_is_typed(tmp_path: Path) -> None:
    image = instance("asked", SeriesNumber=1)
    selection = by_highdicom([image], codes.DCM.OfInterest, "pleural effusion on the left")
    assert typed(tmp_path, image, selection) == "pleural effusion on the left"


@pytest.mark.parametrize("title", [INTEREST, TEACHING])
def test_whatever_the_title_is_it_is_typed(tmp_path: Path, title: str) -> None:
    image = instance("asked")
    assert typed(tmp_path, image, key_object([image], title, description="effusion")) == "effusion"


@pytest.mark.parametrize("title", ["113001", "113010", "113037", "113038", "113039"])
def test_why_images_are_rejected_is_nothing_to_look_for(tmp_path: Path, title: str) -> None:
    image = instance("asked")
    assert typed(tmp_path, image, key_object([image], title, description="motion")) == ""


def test_what_is_no_letter_is_a_space(tmp_path: Path) -> None:
    image = instance("asked")
    typed_so = "effusion\x00 left\x07 \u202eepanchement\u00e9"
    selection = key_object([image], INTEREST, description=typed_so, SpecificCharacterSet="ISO_IR 192")
    assert typed(tmp_path, image, selection) == "effusion left epanchement\u00e9"


def test_what_is_typed_about_other_images_is_about_something_else(tmp_path: Path) -> None:
    other = key_object([instance("case")], INTEREST, description="effusion")
    assert typed(tmp_path, instance("asked"), other) == ""
    assert typed(tmp_path, other) == ""
    beside = key_object([instance("asked", number=2)], INTEREST, description="effusion")
    assert typed(tmp_path, instance("asked", number=1), beside) == ""


def test_selections_are_read_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    image = instance("asked")
    later = key_object([image], INTEREST, description="and a rib fracture.", ContentTime="120100")
    first = key_object([image], TEACHING, description="  effusion\n left ", ContentTime="115900")
    again = key_object([image], INTEREST, description="effusion left", ContentTime="120200")
    assert typed(tmp_path, image, later, again, first) == "effusion left; and a rib fracture."


def test_a_selection_without_a_description_says_nothing(tmp_path: Path) -> None:
    image = instance("asked")
    assert typed(tmp_path, image, key_object([image], INTEREST)) == ""
    empty = key_object([image], INTEREST, description="effusion")
    empty.ContentSequence[0].TextValue = None
    assert typed(tmp_path, image, empty) == ""


def test_other_items_and_other_documents_are_not_typed(tmp_path: Path) -> None:
    image = instance("asked")
    another = key_object([image], INTEREST, description="effusion")
    another.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue = "113011"
    assert typed(tmp_path, image, another) == ""
    foreign = key_object([image], INTEREST, description="effusion")
    foreign.ContentSequence[0].ConceptNameCodeSequence[0].CodingSchemeDesignator = "99ME"
    assert typed(tmp_path, image, foreign, report("asked", "fracture")) == ""
    ours = key_object([image], INTEREST, description="effusion", Manufacturer=MANUFACTURER)
    assert typed(tmp_path, image, ours) == ""


def test_of_very_much_the_beginning_is_read(tmp_path: Path) -> None:
    image = instance("asked")
    assert (
        typed(tmp_path, image, key_object([image], INTEREST, description="ab " * MAX_TEXT))
        == ("ab " * MAX_TEXT)[:MAX_TEXT].rstrip()
    )
    huge = key_object([image], INTEREST, description="a" * (LARGEST_BYTES + 1))
    assert typed(tmp_path, image, huge) == ""


def test_what_is_malformed_does_not_hide_what_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = instance("asked")
    broken = key_object([image], INTEREST, description="effusion")
    paths = write(tmp_path, image, broken, key_object([image], INTEREST, description="fracture"))
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[: content.index(b"effusion")])
    together = list(zip(paths, read_example(paths).instances, strict=True))
    assert typed_words(together) == "fracture"
    assert "effusion" not in caplog.text
