"""Cases that are flagged on a workstation by a key object selection are known by their series."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, generate_uid

from indexer.answers.documents import LARGEST_BYTES, MOST_STEPS
from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER
from indexer.answers.key_objects import MOST_FLAGGED, Flag, Flagged, flagged_in
from tests.fakes.answers import instance, uid, write
from tests.fakes.key_objects import by_highdicom, key_object

INTEREST, REJECTED = "113000", "113001"


def flagged(folder: Path, *datasets: Dataset) -> tuple[Flagged, ...]:
    paths = write(folder / generate_uid(), *datasets)
    return flagged_in(read_example(paths), paths)


def of_case(flag: Flag, study: str = "case", series: str = "1") -> Flagged:
    return Flagged(flag, uid(study), uid(study, series))


@pytest.mark.parametrize(
    ("title", "flag"),
    [
        (codes.DCM.OfInterest, "more"),
        (codes.DCM.BestInSet, "more"),
        (codes.DCM.RejectedForQualityReasons, "less"),
        (codes.DCM.QualityIssue, "less"),
    ],
)
def test_the_title_says_whether_a_match_shall_be_like_it(tmp_path: Path, title: Code, flag: Flag) -> None:
    images = [instance("case", number=1, SeriesNumber=1), instance("case", "2", SeriesNumber=2)]
    selected = by_highdicom(images, title, "one of these is alike")
    found = flagged(tmp_path, selected)
    assert set(found) == {of_case(flag), of_case(flag, series="2")}


@pytest.mark.parametrize(
    "title",
    [
        codes.DCM.ForTeaching,
        codes.DCM.Manifest,
        codes.DCM.ForConference,
        codes.DCM.RejectedForPatientSafetyReasons,
    ],
)
def test_any_other_title_takes_a_flag_back(tmp_path: Path, title: Code) -> None:
    assert flagged(tmp_path, by_highdicom([instance("case")], title, "one of these is alike")) == (
        of_case("none"),
    )


def test_a_code_of_another_scheme_is_another_title(tmp_path: Path) -> None:
    selection = key_object([instance("case")], INTEREST)
    selection.ConceptNameCodeSequence[0].CodingSchemeDesignator = "99ME"
    assert flagged(tmp_path, selection) == (of_case("none"),)


def test_a_selection_without_a_title_says_nothing(tmp_path: Path) -> None:
    selection = key_object([instance("case")], INTEREST)
    del selection.ConceptNameCodeSequence
    assert flagged(tmp_path, selection) == ()


def test_only_the_series_whose_images_are_named_are_flagged(tmp_path: Path) -> None:
    """The evidence of a selection may list more than its content names."""
    named, beside = instance("case", "1"), instance("case", "2")
    selection = key_object([named], INTEREST, evidence=[named, beside])
    assert flagged(tmp_path, selection) == (of_case("more"),)
    selection = key_object([named, beside], INTEREST, evidence=[beside])
    assert flagged(tmp_path, selection) == (of_case("more", series="2"),)


def test_one_selection_names_cases_of_several_studies(tmp_path: Path) -> None:
    selection = key_object([instance("case"), instance("another")], REJECTED)
    assert flagged(tmp_path, selection) == (of_case("less"), of_case("less", "another"))


def test_of_two_selections_the_one_that_was_written_later_counts(tmp_path: Path) -> None:
    image = instance("case")
    early = key_object([image], INTEREST, ContentDate="20260301", ContentTime="120000.5", InstanceNumber=2)
    late = key_object([image], REJECTED, ContentDate="20260301", ContentTime="120001", InstanceNumber=1)
    assert flagged(tmp_path, early, late) == (of_case("less"),)
    late.ContentDate = "20260228"
    assert flagged(tmp_path, early, late) == (of_case("more"),)
    last = key_object([image], "113004", ContentDate="20260302", InstanceNumber=1)
    assert flagged(tmp_path, last, early, late) == (of_case("none"),)


def test_images_that_come_along_are_the_question_and_no_flag(tmp_path: Path) -> None:
    """As an archive forwards a study, its key objects with it."""
    image, another = instance("asked"), instance("case")
    selection = key_object([image], INTEREST)
    assert flagged(tmp_path, image, selection) == ()
    both = key_object([image, another], INTEREST, filed_in=image)
    assert flagged(tmp_path, image, both) == (of_case("more"),)


def test_an_answer_of_ours_flags_nothing(tmp_path: Path) -> None:
    assert flagged(tmp_path, key_object([instance("case")], INTEREST, Manufacturer=MANUFACTURER)) == ()


def test_a_report_that_names_images_flags_nothing(tmp_path: Path) -> None:
    report = key_object(
        [instance("case")], INTEREST, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"
    )
    assert flagged(tmp_path, report) == ()


def damaged(place: str) -> Dataset:
    """A selection that lacks, or misuses, one thing."""
    selection = key_object([instance("case")], INTEREST)
    [study] = selection.CurrentRequestedProcedureEvidenceSequence
    [series] = study.ReferencedSeriesSequence
    if place == "no content":
        del selection.ContentSequence
    elif place == "no evidence":
        del selection.CurrentRequestedProcedureEvidenceSequence
    elif place == "no series":
        del study.ReferencedSeriesSequence
    elif place == "no study uid":
        del study.StudyInstanceUID
    elif place == "a text for a uid":
        series.add_new("SeriesInstanceUID", "LO", "Doe^Jane")
    elif place == "a long uid":
        series.add_new("SeriesInstanceUID", "UT", "1." + "2" * 70)
    elif place == "no sequence":
        selection.add_new("CurrentRequestedProcedureEvidenceSequence", "UT", "Doe^Jane")
    elif place == "no images":
        selection.ContentSequence[0].ValueType = "TEXT"
    return selection


@pytest.mark.parametrize(
    "place",
    [
        *("no content", "no evidence", "no series", "no study uid", "a text for a uid", "a long uid"),
        *("no sequence", "no images"),
    ],
)
def test_what_is_malformed_flags_nothing_and_costs_the_others_nothing(tmp_path: Path, place: str) -> None:
    selection = damaged(place)
    assert flagged(tmp_path, selection) == ()
    assert flagged(tmp_path, selection, key_object([instance("another")], REJECTED)) == (
        of_case("less", "another"),
    )


def test_a_selection_that_is_too_large_or_deflated_is_not_read(tmp_path: Path) -> None:
    image = instance("case")
    large = key_object([image], INTEREST, EncapsulatedDocument=bytes(LARGEST_BYTES))
    deflated = key_object([image], INTEREST)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert flagged(tmp_path, large) == ()
    assert flagged(tmp_path, deflated) == ()


def test_no_more_series_are_flagged_than_anybody_points_at(tmp_path: Path) -> None:
    images = [instance("case", str(n)) for n in range(MOST_FLAGGED + 20)]
    assert len(flagged(tmp_path, key_object(images, INTEREST))) == MOST_FLAGGED


def test_a_selection_without_end_is_left_after_so_many_steps(tmp_path: Path) -> None:
    selection = key_object([instance("case")], INTEREST)
    [item] = selection.ContentSequence
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, "1.2"
    item.ReferencedSOPSequence = Sequence([reference for _ in range(MOST_STEPS + 1)])
    started = time.thread_time()
    assert flagged(tmp_path, selection) == ()
    assert time.thread_time() - started < 30


def test_a_tree_without_end_is_left_at_a_depth(tmp_path: Path) -> None:
    selection = key_object([instance("case")], INTEREST)
    [item] = selection.ContentSequence
    for _ in range(60):
        outer = Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", Sequence([item])
        item = outer
    selection.ContentSequence = Sequence([item])
    assert flagged(tmp_path, selection) == ()
