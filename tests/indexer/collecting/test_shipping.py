"""What leaves under another name is an image in which no name is said to stand; the rest is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
    TwelveLeadECGWaveformStorage,
    UltrasoundImageStorage,
)

from indexer.ports import Coding, Disguise
from tests.fakes.answers import instance, uid, write
from tests.fakes.collected import PSEUDONYMS, Collected, collected

DISGUISE = Disguise("CASE-0123456789AB", PSEUDONYMS.uid)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        yield house


def arrived(house: Collected, disguise: Disguise | None) -> dict[str, bool]:
    """Which instances of the study come out for a taker of everything, by their own UIDs."""
    library, shipping = house.library(disguising=True), house.shipping(disguising=True)
    found = library.studies_holding([f"{uid('head')}/{uid('head', '1')}"])
    instances = [
        i for study in found.values() for s in study.series for i in library.instances_of(s.archive_id)
    ]
    parcels = shipping.parcels((i, disguise) for i in instances)
    taken = {Coding(p.coding.sop_class_uid, p.coding.transfer_syntax_uid) for p in parcels}
    return {p.instance.sop_instance_uid: path is not None for p, path in shipping.unpacked(parcels, taken)}


@pytest.mark.parametrize(
    ("sop_class", "leaves"),
    [
        (CTImageStorage, True),
        (UltrasoundImageStorage, True),
        (EncapsulatedPDFStorage, False),
        (BasicTextSRStorage, False),
        (GrayscaleSoftcopyPresentationStateStorage, False),
        (KeyObjectSelectionDocumentStorage, False),
        (SegmentationStorage, False),
        (TwelveLeadECGWaveformStorage, False),
        ("1.2.3.4.5", False),
    ],
)
def test_only_images_leave_under_another_name(house: Collected, sop_class: str, *, leaves: bool) -> None:
    write(house.folder / "priors" / "head", instance("head", SOPClassUID=sop_class))
    assert arrived(house, DISGUISE) == {uid("head", "1", "1"): leaves}
    assert arrived(house, None) == {uid("head", "1", "1"): True}, "its own patient's goes as it is"


def test_a_frame_that_says_it_is_annotated_is_left_out(house: Collected) -> None:
    statements = {1: "YES", 2: "NO", 3: "YES", 4: ""}
    made = [instance("head", "1", n, BurnedInAnnotation=said) for n, said in statements.items()]
    write(house.folder / "priors" / "head", *made)
    by_number = {n: uid("head", "1", str(n)) for n in statements}
    assert arrived(house, DISGUISE) == {
        by_number[1]: False,
        by_number[2]: True,
        by_number[3]: False,
        by_number[4]: True,
    }
    assert all(arrived(house, None).values())
