"""The contact sheet as a DICOM instance, and what its pixels show."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from indexer.answers.canvas import ALARM, COOL, WARM, Colour
from indexer.answers.disclosure import WHOLE, Disclosure
from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER, notice_of
from indexer.answers.illustrations import Illustrated, Picture, Pixels, without_pictures
from indexer.answers.sheet import contact_sheet
from indexer.answers.sheet_frame import WIDTH
from indexer.answers.sheet_layout import SheetStyle
from indexer.domain import Answer, MatchMap, Refusal, Region, SequenceMatch, SeriesAttributes
from indexer.search.question import Question, RegionOfInterest
from tests.fakes.answers import answer_about, instance, uid, write

CREATED = datetime(2026, 2, 3, 4, 5, 6)
DCIODVFY = shutil.which("dciodvfy", path="/usr/bin")
COLOURS: Sequence[Colour] = ((200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0))
CORNER = MatchMap(np.array([[1, 0], [0, 0]], np.float32), WHOLE[0])


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, ...]:
    return write(tmp_path / "q", instance("asked", number=1), instance("asked", number=2))


def painted(colour: Colour, *, is_lossy: bool = False) -> Picture:
    """A picture of one colour."""
    return Picture(np.full((64, 64, 3), colour, np.uint8), Disclosure(64, 64, is_lossy, WHOLE))


def illustrated(paths: tuple[Path, ...], answer: Answer, **of_matches: object) -> Illustrated:
    """The example grey, the matches red, green, blue and yellow."""
    plain = without_pictures(read_example(paths), answer)
    return Illustrated(
        tuple(replace(asked, picture=painted((120, 120, 120))) for asked in plain.asked),
        tuple(
            replace(shown, **{"picture": painted(colour), **of_matches})  # type: ignore[arg-type]
            for shown, colour in zip(plain.matches, COLOURS, strict=False)
        ),
        tuple(replace(shown, picture=painted((200, 0, 200))) for shown in plain.same_patient),
    )


def sheet(
    paths: tuple[Path, ...],
    answer: Answer | None = None,
    pictures: Illustrated | None = None,
    *,
    question_id: str = "q1",
    style: SheetStyle | None = None,
    question: Question | None = None,
) -> Dataset:
    answer = answer or answer_about(paths)
    return contact_sheet(
        read_example(paths),
        answer,
        pictures or illustrated(paths, answer),
        question_id=question_id,
        created=CREATED,
        style=style,
        question=question,
    )


def read_back(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def pixels(dataset: Dataset) -> Pixels:
    shown: Pixels = read_back(dataset).pixel_array
    return shown


def places(shown: Pixels, colour: Colour) -> tuple[float, float]:
    """The middle of everything of this colour, as row and column."""
    rows, columns = np.nonzero((shown == colour).all(axis=2))
    assert rows.size > 5000, f"nothing of {colour} is seen"
    return float(rows.mean()), float(columns.mean())


def count(shown: Pixels, colour: Colour) -> int:
    return int((shown == colour).all(axis=2).sum())


def refused(paths: tuple[Path, ...]) -> Answer:
    message = "No encoder takes this modality."
    return replace(answer_about(paths, matches=0), refused=Refusal("no_encoder", message))


def test_the_validator_finds_no_error(paths: tuple[Path, ...], tmp_path: Path) -> None:
    if DCIODVFY is None:
        pytest.fail("dciodvfy (dicom3tools) must be installed in /usr/bin")
    for answer in (answer_about(paths), answer_about(paths, matches=0), refused(paths)):
        path = tmp_path / "sheet.dcm"
        sheet(paths, answer).save_as(path, enforce_file_format=True)
        said = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert "SCImage" in lines
        assert [line for line in lines if line.startswith("Error")] == []


def test_it_is_filed_in_the_study_of_the_example_in_a_series_of_its_own(paths: tuple[Path, ...]) -> None:
    made, asked = read_back(sheet(paths)), pydicom.dcmread(paths[0])
    for keyword in (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "StudyDate",
        "AccessionNumber",
        "StudyID",
    ):
        assert made[keyword].value == asked[keyword].value
    assert made.SeriesInstanceUID != asked.SeriesInstanceUID
    assert (made.SOPClassUID.name, made.Modality) == ("Secondary Capture Image Storage", "OT")
    assert (made.Manufacturer, made.SeriesDescription) == (MANUFACTURER, "Similar prior cases")
    assert (made.ConversionType, made.BurnedInAnnotation) == ("SYN", "YES")
    assert made.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert made.ImageComments == notice_of(True)


def test_it_is_wide_enough_to_be_read_and_in_colour(paths: tuple[Path, ...]) -> None:
    made = sheet(paths)
    assert (made.Columns, made.PhotometricInterpretation, made.BitsAllocated) == (WIDTH, "RGB", 8)
    assert pixels(made).shape == (made.Rows, 2048, 3)


def test_the_same_question_gets_the_same_instance_and_another_question_another(
    paths: tuple[Path, ...],
) -> None:
    first, again, other = sheet(paths), sheet(paths), sheet(paths, question_id="q2")
    assert read_back(first) == read_back(again)
    assert first.SOPInstanceUID != other.SOPInstanceUID
    assert first.SeriesInstanceUID != other.SeriesInstanceUID


def test_nothing_of_a_match_but_its_picture_is_told_in_any_byte(paths: tuple[Path, ...]) -> None:
    buffer = BytesIO()
    sheet(paths).save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    for rank in ("1", "2", "3"):
        for name in (uid("prior", rank), uid("prior", rank, "series"), uid("prior", rank, "instance")):
            assert name.encode() not in content
    for private in (b"pseudonym", b"20200101", b"prior-1"):
        assert private not in content
    assert uid("asked", "1", "1").encode() in content


def test_the_cases_stand_in_rank_order_below_what_was_asked_about(paths: tuple[Path, ...]) -> None:
    shown = pixels(sheet(paths))
    asked_row, _ = places(shown, (120, 120, 120))
    where = [places(shown, colour) for colour in COLOURS[:3]]
    assert all(row > asked_row for row, _ in where)
    assert [column for _, column in where] == sorted(column for _, column in where)


def test_the_own_patient_has_a_lane_below_the_others(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths)
    answer = replace(answer, same_patient=answer.matches[:1])
    shown = pixels(sheet(paths, answer))
    assert places(shown, (200, 0, 200))[0] > places(shown, COLOURS[0])[0]


def test_where_a_case_looks_like_the_example_is_drawn_as_a_line(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths, matches=1)
    plain = pixels(sheet(paths, answer))
    mapped = pixels(sheet(paths, answer, illustrated(paths, answer, alike=CORNER)))
    changed = (plain != mapped).any(axis=2)
    row, column = places(plain, COLOURS[0])
    rows, columns = np.nonzero(
        changed[int(row) - 200 : int(row) + 200, int(column) - 200 : int(column) + 200]
    )
    assert rows.size > 1000
    assert rows.max() < 260
    assert columns.max() < 260
    assert count(mapped, COLOURS[0]) > 0.6 * count(plain, COLOURS[0])


def test_the_region_and_the_place_where_it_was_found_are_framed(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths, matches=1)
    frame = answer.matches[0].example_frame
    assert frame is not None
    placed = replace(answer, matches=(replace(answer.matches[0], place=Region(0.5, 0.5, 0.25, 0.25)),))
    region = RegionOfInterest(frame.sop_instance_uid, frame.frame_number, Region(0.1, 0.1, 0.3, 0.3))
    elsewhere = replace(region, sop_instance_uid=uid("another"))
    nothing, other, both = (
        count(pixels(sheet(paths, asked, question=Question(example=paths, region=where))), COOL)
        for asked, where in ((answer, None), (answer, elsewhere), (placed, region))
    )
    assert nothing == 0
    assert both > other + 4000


def test_a_possible_same_person_is_flagged(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths, matches=2)
    flagged = replace(
        answer, matches=(replace(answer.matches[0], possible_same_person=True), answer.matches[1])
    )
    assert count(pixels(sheet(paths, answer)), ALARM) == 0
    assert count(pixels(sheet(paths, flagged)), ALARM) > 100


def test_that_it_is_not_for_diagnosis_stands_on_every_sheet(paths: tuple[Path, ...]) -> None:
    for answer in (answer_about(paths), answer_about(paths, matches=0), refused(paths)):
        head = pixels(sheet(paths, answer))[:120, WIDTH // 2 :]
        assert count(head, WARM) > 500


def test_a_refusal_is_said_in_a_sentence_beside_the_example(paths: tuple[Path, ...]) -> None:
    said, silent = pixels(sheet(paths, refused(paths))), pixels(sheet(paths, answer_about(paths, matches=0)))
    assert places(said, (120, 120, 120))
    longer = replace(refused(paths), refused=Refusal("no_encoder", "No encoder takes this modality. " * 3))
    words = [
        int((one[:, 760:] > 150).all(axis=2).sum()) for one in (silent, said, pixels(sheet(paths, longer)))
    ]
    assert words[0] < words[1] < words[2]


def test_the_language_and_the_dates_of_the_settings_are_used(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths)
    dated = replace(
        answer,
        example=(
            replace(answer.example[0], attributes=SeriesAttributes("CT", study_date=date(2024, 1, 31))),
        ),
    )
    drawn = [
        pixels(sheet(paths, dated, style=style))
        for style in (
            SheetStyle("en", "relative"),
            SheetStyle("fr", "relative"),
            SheetStyle("en", "date"),
            SheetStyle("en", "none"),
        )
    ]
    assert all(
        one.shape != other.shape or (one != other).any()
        for number, one in enumerate(drawn)
        for other in drawn[:number]
    )


def test_what_was_lossy_stays_lossy(paths: tuple[Path, ...]) -> None:
    answer = answer_about(paths, matches=1)
    lossy = illustrated(paths, answer, picture=painted(COLOURS[0], is_lossy=True))
    assert sheet(paths, answer).LossyImageCompression == "00"
    assert sheet(paths, answer, lossy).LossyImageCompression == "01"


@pytest.mark.parametrize("matches", [1, 4, 5, 8, 10, 30])
def test_any_number_of_cases_finds_its_place(paths: tuple[Path, ...], matches: int) -> None:
    """Ten at most are drawn, and nothing is written beyond the edge."""
    answer = answer_about(paths, matches=0)
    few = answer_about(paths, matches=1).matches[0]
    attributes = SeriesAttributes("MR", "HEAD", sequence="FLAIR", plane="AXIAL")
    one = SequenceMatch(answer.example[0].reference, attributes, few.reference, attributes, 0.9, True)
    cases = tuple(
        replace(few, rank=rank, percent=99.95, sequences=(one, one, one)) for rank in range(1, matches + 1)
    )
    many = replace(answer, matches=cases)
    shown = pixels(sheet(paths, many, without_pictures(read_example(paths), many)))
    assert shown.shape[1] == WIDTH
    assert (shown[:, -40:] == shown[0, 0]).all()
    assert (shown[-20:] == shown[0, 0]).all()
    assert shown.shape[0] > 1200
