from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import highdicom.sr as hd
import pydicom
import pytest
from pydicom.dataset import Dataset

from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER, notice_of
from indexer.answers.sr import similar_cases_report
from indexer.domain import Answer, Filters, Refusal, Region, SequenceMatch, SeriesAttributes, SeriesReference
from indexer.search.question import ExampleReference, Question, RegionOfInterest
from inference.text import NO_TEXT_ENCODER
from tests.fakes.answers import ENCODER, PATIENT_ID, PATIENT_NAME, answer_about, instance, uid, write

CREATED = datetime(2026, 2, 3, 4, 5, 6)
DSRDUMP = shutil.which("dsrdump", path="/usr/bin")
DCIODVFY = shutil.which("dciodvfy", path="/usr/bin")


def report(paths: tuple[Path, ...], answer: Answer | None = None, **options: str) -> Dataset:
    return similar_cases_report(
        read_example(paths),
        answer or answer_about(paths, frames={2: 7}),
        question_id=options.pop("question_id", "q1"),
        created=CREATED,
        **options,  # type: ignore[arg-type]
    )


def refusal(paths: tuple[Path, ...]) -> Dataset:
    refused = replace(answer_about(paths, matches=0), refused=Refusal("unsupported", "Nothing to look at."))
    return report(paths, refused)


def saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / "answer.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def read_back(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def items(container: Dataset) -> Iterator[Dataset]:
    for item in container.get("ContentSequence", []):
        yield item
        yield from items(item)


def named(container: Dataset, code_value: str) -> list[Dataset]:
    return [item for item in items(container) if item.ConceptNameCodeSequence[0].CodeValue == code_value]


def image_of(item: Dataset) -> tuple[str, str, int | None]:
    reference = item.ReferencedSOPSequence[0]
    return (
        reference.ReferencedSOPClassUID,
        reference.ReferencedSOPInstanceUID,
        reference.get("ReferencedFrameNumber"),
    )


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, ...]:
    return write(tmp_path / "q", instance("asked", number=1), instance("asked", number=2))


def assert_valid(path: Path) -> None:
    """Both validators find nothing, but that dciodvfy does not know our coding scheme."""
    if DSRDUMP is None or DCIODVFY is None:
        pytest.fail("dsrdump (dcmtk) and dciodvfy (dicom3tools) must be installed in /usr/bin")
    dumped = subprocess.run(
        [DSRDUMP, "-Er", "-Ei", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    assert dumped.returncode == 0, dumped.stderr
    assert not [line for line in dumped.stderr.splitlines() if not _only_a_limit_of_dcmtk(line)]
    checked = subprocess.run(
        [DCIODVFY, str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "ComprehensiveSR" in lines
    assert not [line for line in lines if line != "ComprehensiveSR" and "<99CBIR>" not in line], lines


def _only_a_limit_of_dcmtk(line: str) -> bool:
    return "VR checker does not support" in line or "unknown/unsupported SpecificCharacterSet" in line


@pytest.mark.parametrize("references", ["dicom", "opaque"])
@pytest.mark.parametrize("matches", [0, 1, 10])
def test_the_validators_find_no_error_in_an_answer(
    paths: tuple[Path, ...], tmp_path: Path, references: str, matches: int
) -> None:
    answer = answer_about(paths, matches=matches, frames={3: 12})
    assert_valid(saved(report(paths, answer, references=references, retrieve_ae_title="ORTHANC"), tmp_path))


def test_the_validators_find_no_error_in_a_refusal(paths: tuple[Path, ...], tmp_path: Path) -> None:
    assert_valid(saved(refusal(paths), tmp_path))


def test_the_answer_is_filed_in_the_study_of_the_example(paths: tuple[Path, ...]) -> None:
    answered, asked = read_back(report(paths)), pydicom.dcmread(paths[0])
    for keyword in (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "StudyDate",
        "AccessionNumber",
        "StudyID",
    ):
        assert answered[keyword].value == asked[keyword].value
    assert answered.SeriesInstanceUID != asked.SeriesInstanceUID
    assert (answered.Modality, answered.SeriesDescription) == ("SR", "Similar prior cases")
    assert answered.Manufacturer == MANUFACTURER
    assert (answered.ContentDate, answered.ContentTime) == ("20260203", "040506")


def test_every_image_has_its_role(paths: tuple[Path, ...]) -> None:
    """The example is the source; the match is a similar image; nothing is a source of measurement."""
    answered = read_back(report(paths))
    groups = named(answered, "125007")
    assert len(groups) == 3
    for rank, group in enumerate(groups, start=1):
        [source], [similar] = named(group, "260753009"), named(group, "similar-image")
        assert image_of(source)[1] == uid("asked", "1", str(1 + (rank - 1) % 2))
        assert image_of(similar)[1:] == (uid("prior", str(rank), "instance"), 7 if rank == 2 else None)
        assert {i.RelationshipType for i in (source, similar)} == {"CONTAINS"}
        assert similar.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99CBIR"
    assert not named(answered, "121112")
    assert answered.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99CBIR"


def test_every_match_carries_its_score_rank_and_encoder(paths: tuple[Path, ...]) -> None:
    groups = named(read_back(report(paths)), "125007")
    for rank, group in enumerate(groups, start=1):
        [score], [place] = named(group, "similarity"), named(group, "rank")
        assert float(score.MeasuredValueSequence[0].NumericValue) == pytest.approx(1 - rank / 10)
        assert int(place.MeasuredValueSequence[0].NumericValue) == rank
        assert [i.TextValue for i in named(group, "111001")] == [ENCODER.name]
        assert [i.TextValue for i in named(group, "111003")] == [f"sha256:{ENCODER.sha256}"]
        assert [i.TextValue for i in named(group, "112039")] == [f"Case {rank}"]
    assert len({named(group, "112040")[0].UID for group in groups}) == 3


def test_the_evidence_names_the_example_as_its_own_study_and_the_matches_as_others(
    paths: tuple[Path, ...],
) -> None:
    answered = read_back(report(paths, retrieve_ae_title="ORTHANC"))
    [own] = answered.CurrentRequestedProcedureEvidenceSequence
    assert own.StudyInstanceUID == uid("asked")
    assert [i.ReferencedSOPInstanceUID for i in own.ReferencedSeriesSequence[0].ReferencedSOPSequence] == [
        uid("asked", "1", "1"),
        uid("asked", "1", "2"),
    ]
    others = answered.PertinentOtherEvidenceSequence
    assert [item.StudyInstanceUID for item in others] == [uid("prior", str(n)) for n in (1, 2, 3)]
    assert {item.ReferencedSeriesSequence[0].RetrieveAETitle for item in others} == {"ORTHANC"}


def test_an_opaque_answer_holds_no_uid_of_a_match_in_any_byte(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    content = saved(report(paths, references="opaque", retrieve_ae_title="ORTHANC"), tmp_path).read_bytes()
    for rank in ("1", "2", "3"):
        for name in (uid("prior", rank), uid("prior", rank, "series"), uid("prior", rank, "instance")):
            assert name.encode() not in content
            assert name.encode() in saved(report(paths), tmp_path).read_bytes()
    assert b"Case 3" in content
    assert b"PertinentOther" not in content


def test_nothing_of_a_match_but_its_uids_is_told(paths: tuple[Path, ...], tmp_path: Path) -> None:
    content = saved(report(paths), tmp_path).read_bytes()
    for private in (b"pseudonym", b"20200101", b"HEAD", b"prior-1"):
        assert private not in content


def test_every_answer_says_that_it_is_not_for_diagnosis(paths: tuple[Path, ...]) -> None:
    for document in (report(paths), report(paths, answer_about(paths, matches=0)), refusal(paths)):
        assert notice_of(True) in [item.TextValue for item in named(read_back(document), "121106")]


def test_no_match_is_said_in_words_and_in_code(paths: tuple[Path, ...]) -> None:
    answered = read_back(report(paths, answer_about(paths, matches=0)))
    assert [i.ConceptCodeSequence[0].CodeValue for i in named(answered, "outcome")] == ["none-found"]
    assert not named(answered, "125007")
    assert [image_of(i)[1] for i in named(named(answered, "111028")[0], "260753009")] == [
        uid("asked", "1", "2")
    ]


def test_a_refusal_says_why(paths: tuple[Path, ...]) -> None:
    answered = read_back(refusal(paths))
    assert [i.ConceptCodeSequence[0].CodeValue for i in named(answered, "outcome")] == ["refused"]
    assert "(unsupported): Nothing to look at." in named(answered, "121106")[0].TextValue


def test_the_same_question_gets_the_same_instance_and_another_question_another(
    paths: tuple[Path, ...],
) -> None:
    first, again, other = report(paths), report(paths), report(paths, question_id="q2")
    assert (first.SOPInstanceUID, first.SeriesInstanceUID) == (again.SOPInstanceUID, again.SeriesInstanceUID)
    assert first.SOPInstanceUID != other.SOPInstanceUID
    assert read_back(first) == read_back(again)


def test_highdicom_reads_the_answer_as_a_measurement_report(paths: tuple[Path, ...]) -> None:
    document = hd.ComprehensiveSR.from_dataset(read_back(report(paths)))
    assert isinstance(document.content, hd.MeasurementReport)
    groups = document.content.get_image_measurement_groups()
    assert [[m.name.value for m in group.get_measurements()] for group in groups] == [
        ["similarity", "rank"]
    ] * 3
    assert [group.source_images[0].referenced_sop_instance_uid for group in groups] == [
        uid("asked", "1", "1"),
        uid("asked", "1", "2"),
        uid("asked", "1", "1"),
    ]


@pytest.mark.parametrize(
    ("character_set", "name", "expected"),
    [
        ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 192", "Ζήνων^Ἐλεάτης", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
        (None, "Plain^Ascii", None),
    ],
)
def test_the_name_is_written_in_the_character_set_of_the_example(
    tmp_path: Path, character_set: str | list[str] | None, name: str, expected: object
) -> None:
    dataset = instance("asked", PatientName=name)
    if character_set is not None:
        dataset.SpecificCharacterSet = character_set
    paths = write(tmp_path / "q", dataset)
    answered = read_back(report(paths))
    assert str(answered.PatientName) == name
    found = answered.get("SpecificCharacterSet")
    assert (list(found) if isinstance(expected, list) else found) == expected
    assert_valid(saved(report(paths), tmp_path))


def test_undeclared_letters_are_written_as_unicode(tmp_path: Path) -> None:
    [path] = write(tmp_path / "q", instance("asked", PatientName="Mxller^Bob"))
    path.write_bytes(path.read_bytes().replace(b"Mxller", b"M\xfcller"))
    answered = read_back(report((path,)))
    assert answered.SpecificCharacterSet == "ISO_IR 192"
    assert str(answered.PatientName) == "Müller^Bob"


def test_a_header_that_no_reader_could_take_does_not_stop_the_answer(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = write(
            tmp_path / "q",
            instance(
                "asked",
                SOPClassUID="1.2.840.10008.5.1.4.1.1.6",
                PatientSex="FEMALE",
                PatientBirthDate="unknown",
                StudyDate="31.01.2024",
                StudyTime="10:11",
                PatientName=None,
                StudyID=None,
                AccessionNumber="A" * 40,
                Modality="XX",
            ),
        )
    answered = read_back(report(paths))
    assert (answered.PatientBirthDate, answered.PatientSex, answered.StudyDate) == ("", "", "")
    assert answered.PatientID == PATIENT_ID
    assert str(answered.PatientName) == ""


def test_reading_an_example_never_prints_its_values(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = write(tmp_path / "q", instance("asked", PatientBirthDate="secret-birth"))
    caplog.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report(paths)
    out, err = capfd.readouterr()
    said = out + err + caplog.text + "".join(str(w.message) for w in caught)
    assert "secret-birth" not in said
    assert PATIENT_NAME not in said


REGION = Region(0.25, 0.125, 0.5, 0.25)


def marked_answer(paths: tuple[Path, ...]) -> tuple[Answer, RegionOfInterest]:
    """Three matches of a region, the second possibly the same person, and an earlier study of the patient."""
    plain = answer_about(paths)
    frame = plain.matches[0].example_frame
    assert frame is not None
    asked = SeriesAttributes("MR", sequence="FLAIR", plane="AXIAL")
    matches = tuple(
        replace(
            match,
            percent=99.5,
            place=REGION,
            example_frame=frame,
            possible_same_person=match.rank == 2,
            sequences=(
                SequenceMatch(plain.example[0].reference, asked, match.reference, asked, match.score, True),
            ),
        )
        for match in plain.matches
    )
    own = replace(
        matches[0],
        reference=SeriesReference(uid("earlier"), uid("earlier", "series"), "earlier"),
        frame=replace(matches[0].frame, sop_instance_uid=uid("earlier", "instance")),
        possible_same_person=False,
    )
    answer = replace(plain, matches=matches, same_patient=(own,))
    return answer, RegionOfInterest(frame.sop_instance_uid, frame.frame_number, REGION)


def marked_report(paths: tuple[Path, ...], **options: object) -> Dataset:
    answer, region = marked_answer(paths)
    sizes = {match.frame.sop_instance_uid: (80, 160) for match in (*answer.matches, *answer.same_patient)}
    sizes[region.sop_instance_uid] = (40, 20)
    made: Dataset = similar_cases_report(
        read_example(paths),
        answer,
        question_id="q1",
        created=CREATED,
        sizes=sizes,
        question=Question(example=paths, region=region),
        **options,  # type: ignore[arg-type]
    )
    return made


def value_of(group: Dataset, code_value: str) -> str:
    [item] = named(group, code_value)
    return str(item.ConceptCodeSequence[0].CodeValue)


@pytest.mark.parametrize("references", ["dicom", "opaque"])
def test_the_validators_find_no_error_in_everything_that_can_be_said(
    paths: tuple[Path, ...], tmp_path: Path, references: str
) -> None:
    assert_valid(saved(marked_report(paths, references=references), tmp_path))


def test_every_group_says_how_alike_whose_case_and_by_which_series(paths: tuple[Path, ...]) -> None:
    groups = named(read_back(marked_report(paths)), "125007")
    assert [value_of(group, "whose") for group in groups] == [
        "other-patient",
        "possible-same",
        "other-patient",
        "same-patient",
    ]
    assert [named(group, "112039")[0].TextValue for group in groups] == [
        *("Case 1", "Case 2", "Case 3", "Same patient 1")
    ]
    assert len({named(group, "112040")[0].UID for group in groups}) == 4
    for group in groups:
        [percentage] = named(group, "percentage")
        measured = percentage.MeasuredValueSequence[0]
        assert float(measured.NumericValue) == 99.5
        assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "%"
        assert value_of(group, "likeness") == "very-alike"
        assert [item.TextValue for item in named(group, "carried-by")] == ["MR FLAIR AXIAL"]


@pytest.mark.parametrize(
    ("percent", "likeness"),
    [
        (99.9, "nearly-the-same"),
        (96, "alike"),
        (80, "somewhat-alike"),
        (79.9, "hardly-alike"),
        (3, "hardly-alike"),
    ],
)
def test_a_case_that_is_hardly_alike_says_so_as_every_other_does(
    paths: tuple[Path, ...], percent: float, likeness: str
) -> None:
    answer = answer_about(paths, matches=1)
    judged = replace(answer, matches=(replace(answer.matches[0], percent=percent),))
    [group] = named(read_back(report(paths, judged)), "125007")
    assert value_of(group, "likeness") == likeness


def test_without_a_background_no_percentage_and_no_likeness_is_claimed(paths: tuple[Path, ...]) -> None:
    answered = read_back(report(paths))
    assert not named(answered, "percentage")
    assert not named(answered, "likeness")


def test_the_region_and_the_place_lie_on_their_own_images(paths: tuple[Path, ...]) -> None:
    """The region on the source, the place on the similar image; each names the image that it lies on."""
    _, region = marked_answer(paths)
    group = named(read_back(marked_report(paths)), "125007")[0]
    [asked], [place] = named(group, "region"), named(group, "place")
    assert {item.ValueType for item in (asked, place)} == {"SCOORD"}
    assert [float(x) for x in asked.GraphicData] == [5, 5, 15, 5, 15, 15, 5, 15, 5, 5]
    assert [float(x) for x in place.GraphicData] == [40, 10, 120, 10, 120, 30, 40, 30, 40, 10]
    for item, role, instance_uid in (
        (asked, "260753009", region.sop_instance_uid),
        (place, "similar-image", uid("prior", "1", "instance")),
    ):
        [on] = item.ContentSequence
        assert on.RelationshipType == "SELECTED FROM"
        assert on.ConceptNameCodeSequence[0].CodeValue == role
        assert image_of(on)[1] == instance_uid


def test_a_place_on_a_frame_of_unknown_size_is_left_out(paths: tuple[Path, ...]) -> None:
    answer, region = marked_answer(paths)
    question = Question(example=paths, region=region)
    made = similar_cases_report(
        read_example(paths), answer, question_id="q1", created=CREATED, question=question
    )
    assert not named(made, "place")
    assert not named(made, "region")


def test_the_earlier_study_of_the_same_patient_is_evidence_too(paths: tuple[Path, ...]) -> None:
    others = read_back(marked_report(paths)).PertinentOtherEvidenceSequence
    assert [item.StudyInstanceUID for item in others] == [
        *(uid("prior", str(n)) for n in (1, 2, 3)),
        uid("earlier"),
    ]


def test_an_opaque_answer_places_nothing_on_a_match_and_names_no_earlier_study(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    made = marked_report(paths, references="opaque")
    assert not named(made, "place")
    assert len(named(made, "region")) == 4
    content = saved(made, tmp_path).read_bytes()
    for name in ("earlier", "prior"):
        assert uid(name).encode() not in content
        assert uid(name, "instance").encode() not in content
    assert uid("prior", "1", "instance").encode() not in content
    assert not named(made, "similar-image")


def asked_report(
    paths: tuple[Path, ...], question: Question, answer: Answer | None = None, **options: object
) -> Dataset:
    made: Dataset = similar_cases_report(
        read_example(paths),
        answer or answer_about(paths),
        question_id="q1",
        created=CREATED,
        question=question,
        **options,  # type: ignore[arg-type]
    )
    return read_back(made)


def said(report: Dataset, code_value: str) -> list[str]:
    """In the evaluations, where the outcome is said too."""
    [evaluations] = named(report, "C0034375")
    return [item.TextValue for item in named(evaluations, code_value)]


def every_way(paths: tuple[Path, ...], folder: Path) -> Question:
    """What a question can ask for beside likeness; its report says what no document may."""
    [words] = write(folder, instance("asked", series="report", Modality="SR", PatientComments="Leviathan"))
    return Question(
        paths,
        filters=Filters(modality=("CT",), study_date_from=date(2020, 1, 31)),
        text="hémorragie “aiguë” " + "of the brain " * 100,
        reports=(words,),
        more=(ExampleReference(series_instance_uid=uid("one", "1")),),
        less=(ExampleReference(series_instance_uid=uid("two", "1")),),
        diversity=0.5,
    )


def test_every_way_in_which_was_asked_is_a_text_of_its_own(paths: tuple[Path, ...], tmp_path: Path) -> None:
    """In ASCII, as everything of ours; the text whole, the report never, and no chosen case by its UID."""
    question = every_way(paths, tmp_path / "reports")
    made = asked_report(paths, question)
    kind, dates, text, words, chosen, varied = said(made, "asked")
    assert (kind, dates) == ("CT only", "since 2020-01-31")
    assert text == f'with the words "hemorragie "aigue" {" ".join(["of the brain"] * 100)}"'
    assert words == "with the words of the report sent along"
    assert chosen == "more like 1 chosen case, less like 1 (chosen cases are not shown again)"
    assert varied == "varied"
    content = saved(made, tmp_path).read_bytes()
    assert b"Leviathan" not in content
    assert all(uid(case, "1").encode() not in content for case in ("one", "two"))


@pytest.mark.parametrize("references", ["dicom", "opaque"])
def test_the_validators_find_no_error_where_it_is_said_how_it_was_asked(
    paths: tuple[Path, ...], tmp_path: Path, references: str
) -> None:
    question = every_way(paths, tmp_path / "reports")
    path = saved(asked_report(paths, question, references=references), tmp_path)
    assert_valid(path)
    dumped = subprocess.run([str(DSRDUMP), str(path)], capture_output=True, text=True, check=True).stdout
    assert 'TEXT:(,,"How it was asked")="CT only"' in dumped


def test_highdicom_reads_how_it_was_asked(paths: tuple[Path, ...], tmp_path: Path) -> None:
    made = asked_report(paths, every_way(paths, tmp_path / "reports"))
    content = hd.ComprehensiveSR.from_dataset(made).content
    assert isinstance(content, hd.MeasurementReport)
    found = hd.utils.find_content_items(
        content[0],
        name=hd.CodedConcept("asked", "99CBIR", "How it was asked"),
        value_type=hd.ValueTypeValues.TEXT,
        recursive=True,
    )
    assert [str(item.TextValue) for item in found] == said(made, "asked")


def test_of_a_plain_question_a_report_says_nothing(paths: tuple[Path, ...]) -> None:
    plain = asked_report(paths, Question(paths, same_patient=True))
    assert plain == read_back(
        similar_cases_report(read_example(paths), answer_about(paths), question_id="q1", created=CREATED)
    )
    assert said(plain, "asked") == []
    assert said(plain, "121106") == [notice_of(True)]


def test_a_refused_question_says_how_it_was_asked_too(paths: tuple[Path, ...]) -> None:
    refused = Answer((), None, (), 0.0, refused=Refusal("unsupported", "Nothing to look at."))
    question = Question(paths, filters=Filters(modality=("CT",), study_date_from=date(2020, 1, 31)))
    made = similar_cases_report(
        read_example(paths), refused, question_id="q1", created=CREATED, question=question
    )
    assert said(read_back(made), "asked") == ["CT only", "since 2020-01-31"]


def test_a_report_that_was_left_out_is_a_comment_and_was_not_asked_with(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    question = Question(paths, reports=(Path("one.dcm"), Path("two.dcm")))
    made = asked_report(paths, question, answer=replace(answer_about(paths), unused_reports="unknown_words"))
    assert said(made, "asked") == []
    left_out, notice = said(made, "121106")
    assert left_out.startswith("The 2 reports that were sent were not used: the encoder knows none of")
    assert notice == notice_of(True)
    assert_valid(saved(made, tmp_path))


def test_a_refusal_tells_a_physician_no_command(paths: tuple[Path, ...]) -> None:
    refused = replace(
        answer_about(paths, matches=0), refused=Refusal("not_configured", NO_TEXT_ENCODER), example=()
    )
    why, _ = said(report(paths, refused), "121106")
    assert why.startswith("No similar cases are shown (not_configured): This question has words")
    assert "cbir train" in NO_TEXT_ENCODER
    assert "cbir" not in why.replace("not_configured", "")


def test_where_words_decide_on_the_ranks_nothing_is_called_likeness_alone(paths: tuple[Path, ...]) -> None:
    [notice] = said(asked_report(paths, Question(paths, text="haemorrhage")), "121106")
    assert notice.startswith("Not for diagnosis: ")
    assert "likeness to what was asked" in notice
    assert "alone" not in notice
