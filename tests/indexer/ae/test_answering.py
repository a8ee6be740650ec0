"""Which documents answer a question, and what they are asked and made of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from indexer.ae.answering import Answering, Reply
from indexer.ae.documents import Documents, Form
from indexer.ae.preset import Preset
from indexer.answers.disclosure import WHOLE, Disclosure
from indexer.answers.example import Example
from indexer.answers.illustrations import Illustrated, Illustrations, Picture, without_pictures
from indexer.domain import Answer, Refusal
from indexer.errors import EncoderUnavailable, Rejected
from indexer.ledger import Background
from indexer.ports import Caller
from indexer.search import Question
from indexer.search.judging import Judge
from tests.fakes.answers import answer_about, instance, uid, write
from tests.fakes.archive import FakeArchive
from tests.fakes.encoder import FakeEncoder
from tests.fakes.house import Furnished

SHEET = "1.2.840.10008.5.1.4.1.1.7"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
FIRST = Preset("")


class Remembering:
    """A search that remembers its questions; `answer` may be replaced."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.answer: Answer | None = None

    def similar(self, question: Question, caller: Caller) -> Answer:
        assert isinstance(question.example, tuple)
        self.questions.append(question)
        return self.answer or answer_about(question.example)


@pytest.fixture
def searcher() -> Remembering:
    return Remembering()


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, ...]:
    return write(tmp_path / "q", instance("asked", number=1), instance("asked", number=2))


def kinds(documents: Sequence[Dataset]) -> list[str]:
    return [str(document.SOPClassUID) for document in documents]


def items(container: Dataset) -> list[Dataset]:
    found: list[Dataset] = []
    for item in container.get("ContentSequence", []):
        found += [item, *items(item)]
    return found


def texts(report: Dataset) -> str:
    return " ".join(str(item.get("TextValue", "")) for item in items(report))


def codes(report: Dataset) -> list[str]:
    return [str(item.ConceptNameCodeSequence[0].CodeValue) for item in items(report)]


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        (("sheet", "report"), [SHEET, REPORT]),
        (("report", "sheet"), [REPORT, SHEET]),
        (("report",), [REPORT]),
        (("sheet",), [SHEET]),
    ],
)
def test_the_settings_say_which_documents_come_and_in_which_order(
    searcher: Remembering, paths: tuple[Path, ...], forms: tuple[Form, ...], expected: list[str]
) -> None:
    reply = Answering(searcher, documents=Documents(forms)).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert kinds(reply.documents) == expected


def test_the_same_patients_studies_are_asked_for_and_so_many_matches(
    searcher: Remembering, paths: tuple[Path, ...]
) -> None:
    Answering(searcher, limit=7).answer(paths, "WS1", "q1", FIRST)
    [question] = searcher.questions
    assert (question.limit, question.same_patient, question.region) == (7, True, None)


def test_what_was_marked_is_asked_about_and_told_in_the_report(
    searcher: Remembering, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    """The frame has 4 rows and columns; the mark goes from 1 to 3."""
    [state] = write(tmp_path / "state", marked(uid("asked", "1", "1")))
    illustrations = Illustrations(FakeArchive(), FakeEncoder())
    reply = Answering(searcher, illustrations=illustrations).answer((*paths, state), "WS1", "q1", FIRST)
    [question] = searcher.questions
    assert question.region is not None
    assert question.region.sop_instance_uid == uid("asked", "1", "1")
    assert question.region.region.left == question.region.region.top == 0.25
    assert question.region.region.width == question.region.region.height == 0.5
    assert question.example == paths
    assert isinstance(reply, Reply)
    [*_, report] = reply.documents
    places = [item.GraphicData for item in items(report) if "GraphicData" in item]
    assert [float(number) for number in places[0]] == [1, 1, 3, 1, 3, 3, 1, 3, 1, 1]


def marked(sop_instance_uid: str) -> Dataset:
    graphic, annotation, image = Dataset(), Dataset(), Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicType = "PIXEL", "POLYLINE"
    graphic.GraphicData = [1.0, 1.0, 3.0, 1.0, 3.0, 3.0]
    image.ReferencedSOPInstanceUID = sop_instance_uid
    annotation.ReferencedImageSequence = Items([image])
    annotation.GraphicObjectSequence = Items([graphic])
    return instance(
        "asked",
        series="pr",
        Modality="PR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        GraphicAnnotationSequence=Items([annotation]),
    )


def test_a_refused_answer_is_refused_in_both_documents(
    searcher: Remembering, paths: tuple[Path, ...]
) -> None:
    searcher.answer = replace(
        answer_about(paths, matches=0), refused=Refusal("unknown_to_encoder", "It is unlike everything.")
    )
    reply = Answering(searcher).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    sheet, report = reply.documents
    assert "outcome" in codes(report)
    assert "unlike everything" in texts(report)
    plain = Answering(searcher_of(answer_about(paths, matches=0))).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(plain, Reply)
    assert (sheet.pixel_array != plain.documents[0].pixel_array).any()


def searcher_of(answer: Answer) -> Remembering:
    searcher = Remembering()
    searcher.answer = answer
    return searcher


def test_a_question_with_nothing_to_embed_still_has_both_documents(
    searcher: Remembering, tmp_path: Path
) -> None:
    reports = write(tmp_path / "q", instance("asked", Modality="SR"))
    reply = Answering(searcher).answer(reports, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert kinds(reply.documents) == [SHEET, REPORT]
    assert reply.found.refused is not None
    assert searcher.questions == []


def test_giving_up_looks_at_no_frame(searcher: Remembering, paths: tuple[Path, ...]) -> None:
    """It may have been a frame that ended the process three times."""
    encoder = FakeEncoder()
    answering = Answering(searcher, illustrations=Illustrations(FakeArchive(), encoder))
    reply = answering.refuse(paths, Rejected("The service failed.", reason="gave_up"), "q1")
    assert kinds(reply.documents) == [SHEET, REPORT]
    assert encoder.rendered == 0
    assert "gave_up" in texts(reply.documents[1])


def test_an_encoder_that_does_not_answer_is_asked_again_later(paths: tuple[Path, ...]) -> None:
    class Down(Remembering):
        def similar(self, question: Question, caller: Caller) -> Answer:
            raise EncoderUnavailable("The worker does not answer.")

    with pytest.raises(EncoderUnavailable):
        Answering(Down()).answer(paths, "WS1", "q1", FIRST)


class Broken(Illustrations):
    """Pictures that nobody can draw."""

    def of(self, example: Example, paths: Sequence[Path], answer: Answer) -> Illustrated:
        picture = Picture(np.zeros((0, 0, 3), np.uint8), Disclosure(4, 4, False, WHOLE))
        plain = without_pictures(example, answer)
        return replace(plain, asked=tuple(replace(asked, picture=picture) for asked in plain.asked))


def test_a_sheet_that_cannot_be_drawn_does_not_cost_the_report(
    searcher: Remembering, paths: tuple[Path, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    broken = Broken(FakeArchive(), FakeEncoder())
    reply = Answering(searcher, illustrations=broken).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert kinds(reply.documents) == [REPORT]
    assert "answer_form_failed question=q1 form=sheet" in caplog.text
    with pytest.raises(ZeroDivisionError):
        Answering(searcher, illustrations=broken, documents=Documents(("sheet",))).answer(
            paths, "WS1", "q1", FIRST
        )


class Choosy(Remembering):
    """A search that takes no mark but those on one of the instances; `reason` is what it says otherwise."""

    def __init__(self, takes: str = "", reason: str = "not_found") -> None:
        super().__init__()
        self.takes, self.reason = takes, reason

    def similar(self, question: Question, caller: Caller) -> Answer:
        found = super().similar(question, caller)
        if question.region is not None and question.region.sop_instance_uid != self.takes:
            raise Rejected("That is no part of the example.", reason=self.reason)
        return found


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("not_found", "an image or a frame that is not compared"),
        ("region_not_seen", "where the encoder does not look"),
        ("decode_timeout", "cannot be looked at alone"),
    ],
)
def test_a_mark_that_cannot_be_used_costs_no_answer_and_is_told(
    paths: tuple[Path, ...], tmp_path: Path, reason: str, said: str
) -> None:
    [state] = write(tmp_path / "state", marked(uid("asked", "1", "1")))
    searcher = Choosy(reason=reason)
    reply = Answering(searcher).answer((*paths, state), "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert reply.found.refused is None
    assert [question.region is None for question in searcher.questions] == [False, True]
    sheet, report = reply.documents
    assert said in texts(report)
    unmarked = Answering(Remembering()).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(unmarked, Reply)
    assert (sheet.pixel_array != unmarked.documents[0].pixel_array).any()
    assert "A mark was not used" not in texts(unmarked.documents[1])


def test_a_mark_on_an_image_that_was_not_sent_is_told(
    searcher: Remembering, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    [state] = write(tmp_path / "state", marked(uid("scout")))
    reply = Answering(searcher).answer((*paths, state), "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert [question.region for question in searcher.questions] == [None]
    assert "it lies on an image that was not sent" in texts(reply.documents[1])


def test_the_next_mark_is_asked_about_where_the_first_cannot_be(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    """Of two marks on one frame that is no part of the example only one is tried."""
    state = marked(uid("asked", "1", "1"))
    first = state.GraphicAnnotationSequence[0]
    second = marked(uid("asked", "1", "2")).GraphicAnnotationSequence[0]
    state.GraphicAnnotationSequence = Items([first, first, second])
    [path] = write(tmp_path / "state", state)
    searcher = Choosy(takes=uid("asked", "1", "2"))
    reply = Answering(searcher).answer((*paths, path), "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    asked = [q.region.sop_instance_uid for q in searcher.questions if q.region is not None]
    assert asked == [uid("asked", "1", "1"), uid("asked", "1", "2")]
    assert len(searcher.questions) == 2
    assert "A mark was not used" in texts(reply.documents[1])


def test_what_is_refused_as_a_whole_is_refused_with_a_mark_too(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    class Refusing(Remembering):
        def similar(self, question: Question, caller: Caller) -> Answer:
            super().similar(question, caller)
            raise Rejected("No encoder takes it.", reason="no_encoder")

    [state] = write(tmp_path / "state", marked(uid("asked", "1", "1")))
    searcher = Refusing()
    reply = Answering(searcher).answer((*paths, state), "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert reply.found.refused == Refusal("no_encoder", "No encoder takes it.")
    assert len(searcher.questions) == 2


def test_the_same_patients_earlier_study_stands_in_a_lane_of_its_own(
    empty_house: Furnished, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    """Through the search itself: the earlier study is white, and the lowest on the sheet."""
    white = np.full(16, 4095, "<u2").tobytes()
    earlier = instance("earlier", StudyDate="20200101", PixelData=white)
    for dataset in (earlier, instance("of another", PatientID="another")):
        empty_house.index_series(write(tmp_path / "archive", dataset))
    illustrations = Illustrations(empty_house.archive, empty_house.encoder)
    reply = Answering(empty_house.search(), illustrations=illustrations).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert [m.reference.study_instance_uid for m in reply.found.matches] == [uid("of another")]
    assert [m.reference.study_instance_uid for m in reply.found.same_patient] == [uid("earlier")]
    sheet, report = reply.documents
    rows, columns = np.nonzero((sheet.pixel_array == 255).all(axis=2))
    low = rows > sheet.Rows - 600
    assert np.count_nonzero(low) > 200 * 200
    assert columns[low].max() < 500, "the first of its row"
    tracked = [str(item.TextValue) for item in items(report) if "TextValue" in item]
    assert "Case 1" in tracked
    assert "Same patient 1" in tracked
    assert uid("earlier") in str(report.PertinentOtherEvidenceSequence)


def test_how_long_the_embedding_took_is_told_of_a_refusal_too(
    empty_house: Furnished, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    """The only other case is the example upside down, no nearer than chance."""
    turned = np.arange(16, dtype="<u2")[::-1].tobytes()
    empty_house.index_series(write(tmp_path / "archive", instance("turned", PatientID="p", PixelData=turned)))
    evenly = np.linspace(0.99, 1, 101, dtype=np.float32)
    empty_house.judge = Judge(background=lambda *_: Background("", "", 1000, evenly, evenly))
    reply = Answering(empty_house.search()).answer(paths, "WS1", "q1", FIRST)
    assert isinstance(reply, Reply)
    assert reply.found.refused is not None
    assert reply.split_ms["embed"] > 0
