"""C-FIND over the cases of a caller's own recent questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from indexer.ae.finding import Finding, Response
from indexer.collecting import Cases
from tests.fakes.answers import PATIENT_ID, PATIENT_NAME, uid
from tests.fakes.collected import EXAMPLE, PSEUDONYMS, Collected, collected


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        house.prior("head", modality="MR", series=2, instances=3, StudyDate="20200102")
        house.prior("chest", modality="CT", StudyDate="20210203", AccessionNumber="A-77")
        house.prior("knee", modality="MR", StudyDate="20220304")
        yield house


def asked(level: str = "STUDY", **keys: object) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def find(
    cases: Cases,
    query: Dataset,
    caller: str = "WS1",
    called: str = "CBIR",
    *,
    study_root: bool = True,
    after: int = 1000,
    presets: frozenset[str] = frozenset(),
) -> list[Response]:
    """The responses; the caller has had enough after some."""
    seen: list[Response] = []
    encoded = encode(query, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    responses = Finding(cases, presets).responses(
        caller,
        called,
        BytesIO(encoded),
        ImplicitVRLittleEndian,
        study_root=study_root,
        is_cancelled=lambda: len(seen) >= after,
    )
    for response in responses:  # one by one: what was seen decides when the caller has had enough
        seen.append(response)  # noqa: PERF402
    return seen


def found(cases: Cases, query: Dataset, caller: str = "WS1", *, study_root: bool = True) -> list[Dataset]:
    return [row for _, row in find(cases, query, caller, study_root=study_root) if row is not None]


def studies(rows: list[Dataset]) -> list[str]:
    names = {uid(name): name for name in ("head", "chest", "knee")}
    return [names[row.StudyInstanceUID] for row in rows]


def test_without_keys_the_last_questions_cases_come_in_rank_order(house: Collected) -> None:
    house.answered("WS1", "knee")
    house.answered("WS1", "chest", "head")
    rows = found(house.cases(), asked(StudyDescription="", PatientName="", ModalitiesInStudy=""))
    assert studies(rows) == ["chest", "head"]
    assert [row.StudyDescription for row in rows] == [
        "01  very alike, 99.4 %  0.900  not for diagnosis",
        "02  alike, 97 %  0.800  not for diagnosis",
    ]
    assert [row.ModalitiesInStudy for row in rows] == ["CT", "MR"]
    assert {row.RetrieveAETitle for row in rows} == {"CBIR"}


def test_without_keys_a_title_that_asks_in_its_own_way_lists_the_last_question_to_it(
    house: Collected,
) -> None:
    house.answered("WS1", "head", called="CBIR_MR")
    house.answered("WS1", "chest", called="CBIR_CT")
    house.answered("WS1", called="CBIR_MANY", refused="blank", message="It shows nothing.")
    presets = frozenset({"CBIR_MR", "CBIR_CT", "CBIR_MANY", "CBIR_NEVER"})
    listed = {}
    for called in ("CBIR_MR", "CBIR_CT", "CBIR_NEVER"):
        responses = find(house.cases(), asked(), called=called, presets=presets)
        listed[called] = studies([row for _, row in responses if row is not None])
    assert listed == {"CBIR_MR": ["head"], "CBIR_CT": ["chest"], "CBIR_NEVER": []}
    for called in ("CBIR_MANY", "CBIR"):
        [(status, _)] = find(house.cases(), asked(), called=called, presets=presets)
        assert isinstance(status, Dataset)
        assert status.Status == 0xC002, "the first title tells of the last question of all"
    house.answered("WS1", "knee")
    [(_, row), *_] = find(house.cases(), asked(), called="CBIR", presets=presets)
    assert row is not None
    assert studies([row]) == ["knee"]


def test_an_identifier_that_asks_for_no_attribute_gets_them_all(house: Collected) -> None:
    house.answered("WS1", "head")
    [row] = found(house.cases(), asked())
    assert row.NumberOfStudyRelatedSeries == 2
    assert row.NumberOfStudyRelatedInstances == 6
    assert row.StudyDate == "20200102"
    assert row.StudyDescription.startswith("01")


def test_every_response_that_has_a_text_says_that_it_is_not_for_diagnosis(house: Collected) -> None:
    house.answered("WS1", "head")
    texts = {"PATIENT": "PatientComments", "STUDY": "StudyComments", "IMAGE": "ImageComments"}
    for level, keyword in texts.items():
        for query in (asked(level), asked(level, **{keyword: ""})):
            rows = found(house.cases(), query, study_root=False)
            assert rows
            assert all(str(row[keyword].value).startswith("Not for diagnosis") for row in rows)
    [row, *_] = found(house.cases(), asked("SERIES", StudyDescription=""))
    assert row.StudyDescription.endswith("not for diagnosis")


def test_a_possible_same_person_is_told(house: Collected) -> None:
    house.priors["head"] = replace(house.priors["head"], possible_same_person=True)
    house.answered("WS1", "chest", "head")
    other, same = found(house.cases(), asked())
    assert "same person" not in other.StudyDescription + other.StudyComments
    assert "possibly the same person" in same.StudyDescription
    assert same.StudyComments.startswith("Another patient by its id, and possibly the same person.")
    assert "Not for diagnosis" in same.StudyComments


def test_with_keys_every_recent_question_is_looked_through(house: Collected) -> None:
    house.answered("WS1", "knee", "head")
    house.answered("WS1", "chest", "head")
    cases = house.cases()
    assert studies(found(cases, asked(ModalitiesInStudy="MR"))) == ["head", "knee"]
    assert studies(found(cases, asked(StudyDate="20210101-"))) == ["chest", "knee"]
    assert studies(found(cases, asked(StudyInstanceUID=[uid("knee"), uid("chest")]))) == ["chest", "knee"]
    assert studies(found(cases, asked(StudyDescription="01*"))) == ["chest", "knee"]
    assert studies(found(cases, asked(StudyDescription="*nothing like it*"))) == []


def test_a_case_of_two_questions_stands_as_the_last_one_ranked_it(house: Collected) -> None:
    house.answered("WS1", "head")
    house.answered("WS1", "chest", "head")
    [row] = found(house.cases(), asked(StudyInstanceUID=uid("head"), StudyDescription=""))
    assert row.StudyDescription.startswith("02")


def test_another_callers_cases_are_never_found(house: Collected) -> None:
    house.answered("WS2", "head", "chest")
    cases = house.cases()
    assert found(cases, asked()) == []
    assert found(cases, asked(StudyInstanceUID=uid("head"))) == []
    assert found(cases, asked(PatientID="*"), study_root=False) == []
    assert len(found(cases, asked(), caller="WS2")) == 2


def test_a_question_of_long_ago_is_forgotten(house: Collected) -> None:
    house.answered("WS1", "head")
    cases = house.cases()
    house.now += timedelta(hours=2)
    assert found(cases, asked()) == []
    assert cases.sweep() == 1


def test_a_case_that_left_the_archive_is_not_listed(house: Collected) -> None:
    house.answered("WS1", "head", "chest")
    for path in (house.folder / "priors" / "head").iterdir():
        path.unlink()
    assert studies(found(house.cases(), asked())) == ["chest"]


def test_a_refused_question_says_so(house: Collected) -> None:
    house.answered("WS1", refused="blank", message="The frame shows nothing: send another one.")
    [(status, row)] = find(house.cases(), asked())
    assert row is None
    assert isinstance(status, Dataset)
    assert status.Status == 0xC002
    assert status.ErrorComment == "Refused (blank): The frame shows nothing: send another one."
    house.answered("WS1", "head")
    assert studies(found(house.cases(), asked())) == ["head"]


def test_a_refusal_tells_a_physician_no_command(house: Collected) -> None:
    house.answered("WS1", refused="not_configured", message="No encoder reads text: `cbir train image-text`.")
    [(status, _)] = find(house.cases(), asked())
    assert isinstance(status, Dataset)
    assert status.ErrorComment.startswith("Refused (not_configured): This question has words, and no")


def test_the_series_and_instances_of_a_case_are_listed(house: Collected) -> None:
    house.answered("WS1", "head")
    cases = house.cases()
    series = found(cases, asked("SERIES", StudyInstanceUID=uid("head"), Modality="", SeriesNumber=""))
    assert [row.SeriesNumber for row in series] == [1, 2]
    images = found(
        cases,
        asked(
            "IMAGE",
            StudyInstanceUID=uid("head"),
            SeriesInstanceUID=series[1].SeriesInstanceUID,
            InstanceNumber="",
            SOPClassUID="",
        ),
    )
    assert [row.InstanceNumber for row in images] == [1, 2, 3]
    assert {row.SOPClassUID for row in images} == {"1.2.840.10008.5.1.4.1.1.2"}
    assert {row.StudyInstanceUID for row in images} == {uid("head")}


def test_unknown_keys_are_answered_empty_and_said_to_be_unknown(house: Collected) -> None:
    house.answered("WS1", "head")
    nested = Dataset()
    nested.CodeValue = "1"
    query = asked(InstitutionName="Elsewhere", ProcedureCodeSequence=[nested])
    [(status, row)] = find(house.cases(), query)
    assert status == 0xFF01
    assert row is not None
    assert (row.InstitutionName, list(row.ProcedureCodeSequence)) == ("", [])


@pytest.mark.parametrize("level", ["", "PATIENT", "FRAME"])
def test_a_level_that_the_model_lacks_is_refused(house: Collected, level: str) -> None:
    [(status, row)] = find(house.cases(), asked(level))
    assert isinstance(status, Dataset)
    assert (status.Status, row) == (0xA900, None)


def test_what_is_no_identifier_is_refused(house: Collected) -> None:
    finding = Finding(house.cases())
    for content in (b"\xff" * 20, b"\0" * 100_000, None):
        identifier = None if content is None else BytesIO(content)
        [(status, row)] = finding.responses(
            "WS1", "CBIR", identifier, ImplicitVRLittleEndian, study_root=True, is_cancelled=lambda: False
        )
        assert isinstance(status, Dataset)
        assert (status.Status, row) == (0xA900, None)


def test_cases_are_retrieved_from_the_title_that_was_called(house: Collected) -> None:
    house.answered("WS1", "head")
    for called in ("CBIR", "CBIR_CT"):
        [row] = [row for _, row in find(house.cases(), asked(), called=called) if row is not None]
        assert row.RetrieveAETitle == called


def test_a_caller_who_has_had_enough_gets_no_more(house: Collected) -> None:
    house.answered("WS1", "head", "chest", "knee")
    assert [status for status, _ in find(house.cases(), asked(), after=1)] == [0xFF00, 0xFE00]


def test_no_policy_shows_who_the_example_is(house: Collected) -> None:
    house.answered("WS1", "head", "chest")
    for cases in (house.cases("none"), house.cases("pseudonym"), house.cases("archive")):
        for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
            text = str(found(cases, asked(level), study_root=False))
            assert "head" in text or "CASE" in text or "Prior" in text
            for word in (PATIENT_ID, PATIENT_NAME, uid(EXAMPLE)):
                assert word not in text


def test_what_is_shown_of_a_patient_follows_the_policy(house: Collected) -> None:
    house.answered("WS1", "chest", "head")
    query = asked(PatientName="", PatientID="", PatientBirthDate="", AccessionNumber="", SeriesDescription="")
    name = PSEUDONYMS.case_name(PSEUDONYMS.of("", "PRIOR-chest") or "")
    own_id = PSEUDONYMS.case_name(f"{uid('chest')} {PSEUDONYMS.of('', 'PRIOR-chest')}")
    expected = {
        "none": ("CASE 1", own_id, "", ""),
        "pseudonym": (name, name, "", ""),
        "archive": ("Prior^Chest", "PRIOR-chest", "18200512", "A-77"),
    }
    for cases, shown in (
        (house.cases("none"), expected["none"]),
        (house.cases("pseudonym"), expected["pseudonym"]),
        (house.cases("archive"), expected["archive"]),
    ):
        row = found(cases, query)[0]
        assert (row.PatientName, row.PatientID, row.PatientBirthDate, row.AccessionNumber) == shown


def test_free_text_is_shown_only_where_names_are(house: Collected) -> None:
    house.answered("WS1", "chest")
    query = asked("SERIES", StudyInstanceUID=uid("chest"), SeriesDescription="")
    assert [row.SeriesDescription for row in found(house.cases("archive"), query)] == ["of chest"]
    assert [row.SeriesDescription for row in found(house.cases(), query)] == ["T2 AXIAL most alike"]


def test_a_patient_is_found_by_the_word_that_stands_for_it(house: Collected) -> None:
    house.answered("WS1", "chest", "head")
    cases = house.cases()
    patients = found(cases, asked("PATIENT", NumberOfPatientRelatedInstances=""), study_root=False)
    assert [row.NumberOfPatientRelatedInstances for row in patients] == [2, 6]
    query = asked(PatientID=patients[1].PatientID)
    assert studies(found(cases, query, study_root=False)) == ["head"]
    assert found(cases, asked(PatientID="PRIOR-head"), study_root=False) == [], "its own id is not searched"


def test_the_best_cases_of_two_questions_are_two_patients_where_nobody_is_shown(house: Collected) -> None:
    house.prior("head again", PatientID="PRIOR-head")
    house.answered("WS1", "chest")
    house.answered("WS1", "head", "head again")
    rows = found(house.cases("none"), asked("PATIENT", PatientID="CASE*", PatientName=""), study_root=False)
    assert [str(row.PatientName) for row in rows] == ["CASE 1", "CASE 2", "CASE 1"]
    ids = [row.PatientID for row in rows]
    assert len(set(ids)) == 3, "not even that two studies are one patient's is told"
    known = {PSEUDONYMS.case_name(PSEUDONYMS.of("", f"PRIOR-{who}") or "") for who in ("head", "chest")}
    assert known.isdisjoint(ids)
    for row, name in zip(rows, ("head", "head again", "chest"), strict=True):
        [case] = found(house.cases("none"), asked(PatientID=row.PatientID), study_root=False)
        assert case.StudyInstanceUID == uid(name)


@pytest.mark.parametrize("nobody", ["", "UNKNOWN"])
def test_cases_without_a_patient_id_are_no_patient_together(house: Collected, nobody: str) -> None:
    house.prior("one", PatientID=nobody)
    house.prior("two", PatientID=nobody)
    house.answered("WS1", "one", "two")
    query = asked("PATIENT", PatientID="", NumberOfPatientRelatedStudies="")
    for cases in (house.cases("none"), house.cases("pseudonym"), house.cases("archive")):
        assert [row.NumberOfPatientRelatedStudies for row in found(cases, query, study_root=False)] == [1, 1]


def test_one_id_of_two_issuers_is_two_patients(house: Collected) -> None:
    house.prior("one", PatientID="4711", IssuerOfPatientID="CITY")
    house.prior("two", PatientID="4711", IssuerOfPatientID="VILLAGE")
    house.prior("three", PatientID="4711", IssuerOfPatientID="CITY")
    house.answered("WS1", "one", "two", "three")
    query = asked("PATIENT", PatientID="4711", NumberOfPatientRelatedStudies="", IssuerOfPatientID="")
    rows = found(house.cases("archive"), query, study_root=False)
    counted = [(row.IssuerOfPatientID, row.NumberOfPatientRelatedStudies) for row in rows]
    assert counted == [("CITY", 2), ("VILLAGE", 1)]


def test_a_case_that_is_sent_without_its_name_is_listed_without_it(house: Collected) -> None:
    house.answered("WS1", "chest")
    cases = house.cases("archive", "always", disguising=True)
    [row] = found(cases, asked())
    assert row.StudyInstanceUID == PSEUDONYMS.uid(uid("chest"))
    assert str(row.PatientName).startswith("CASE-")
    assert uid("chest") not in str(row)
    assert found(cases, asked(StudyInstanceUID=uid("chest"))) == []
    assert len(found(cases, asked(StudyInstanceUID=row.StudyInstanceUID))) == 1


def test_our_own_answers_in_a_priors_study_are_not_listed(house: Collected) -> None:
    house.prior("both", series=2)
    [first, *_] = sorted((house.folder / "priors" / "both").iterdir())

    dataset = dcmread(first)
    dataset.Manufacturer, dataset.SeriesInstanceUID = "pacs-cbir", uid("both", "ours")
    dataset.SOPInstanceUID = uid("both", "ours", "1")
    dataset.save_as(first.parent / "ours.dcm")
    house.answered("WS1", "both")
    rows = found(house.cases(), asked("SERIES", StudyInstanceUID=uid("both")))
    assert {row.SeriesInstanceUID for row in rows} == {uid("both", "1"), uid("both", "2")}
