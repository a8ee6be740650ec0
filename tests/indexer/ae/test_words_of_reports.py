"""Reports that come with images, or alone, to a title that reads them; nothing else is read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from indexer.ae.answering import Answering, NoReply, Reply
from indexer.ae.preset import Preset
from indexer.answers.identity import MANUFACTURER
from indexer.answers.illustrations import Illustrations
from indexer.domain import Answer
from indexer.ports import MOST_REPORTS
from tests.fakes.answers import instance, uid, write
from tests.fakes.encoder import BRIGHT
from tests.fakes.house import Furnished
from tests.fakes.key_objects import key_object
from tests.fakes.reports import document, marking_report, report

WORDS = Preset("CBIR_WORDS", text_weight=1.0, reads_reports=True)
PLAIN = Preset("CBIR")


def bright(side: str) -> bytes:
    """4 x 4 pixels, one for each tile that the fake encoder sees."""
    return np.rint(BRIGHT[side] * 4095).astype("<u2").tobytes()


@pytest.fixture
def house(empty_house: Furnished, tmp_path: Path) -> Furnished:
    """Four studies of other patients, each bright on another side."""
    for side in BRIGHT:
        prior = instance(side, PatientID=f"patient {side}", PixelData=bright(side))
        empty_house.index_series(write(tmp_path / "archive", prior))
    return empty_house


def sent(house: Furnished, folder: Path, preset: Preset, *datasets: Dataset) -> Reply | NoReply:
    answering = Answering(house.search(), illustrations=Illustrations(house.archive, house.encoder))
    return answering.answer(write(folder / "question", *datasets), "WS1", "q1", preset)


def found(reply: Reply | NoReply) -> Answer:
    assert isinstance(reply, Reply)
    return reply.found


def first(reply: Reply | NoReply) -> str:
    return found(reply).matches[0].reference.study_instance_uid


def image(side: str = "left") -> Dataset:
    return instance("asked", PixelData=bright(side))


def test_the_words_of_a_report_count_where_the_title_reads_them(house: Furnished, tmp_path: Path) -> None:
    both = image("left"), report("asked", "right")
    assert first(sent(house, tmp_path, PLAIN, *both)) == uid("left")
    assert first(sent(house, tmp_path, WORDS, *both)) == uid("right")


def test_a_report_alone_is_answered_by_sheet_and_report_in_its_own_study(
    house: Furnished, tmp_path: Path
) -> None:
    reply = sent(house, tmp_path, WORDS, report("asked", "top"))
    assert first(reply) == uid("top")
    assert isinstance(reply, Reply)
    assert [document.Modality for document in reply.documents] == ["OT", "SR"]
    for written in reply.documents:
        assert written.StudyInstanceUID == uid("asked")
        assert written.PatientID == "PID-4711"
        assert uid("asked", "report", "1") in str(written), "it rests on the report"


def test_of_very_many_reports_the_first_are_asked_with(house: Furnished, tmp_path: Path) -> None:
    many = [report("asked", "top", SOPInstanceUID=uid("report", str(n))) for n in range(MOST_REPORTS + 1)]
    assert found(sent(house, tmp_path, WORDS, *many)).read_reports == MOST_REPORTS


def test_that_answer_is_known_when_it_comes_back_with_the_report(house: Furnished, tmp_path: Path) -> None:
    own = report("asked", "top")
    reply = sent(house, tmp_path, WORDS, own)
    assert isinstance(reply, Reply)
    paths = write(tmp_path / "back", own, *reply.documents)
    assert Answering(house.search(), now=datetime.now).answer(paths, "WS1", "q2", WORDS) == "echo"


def test_what_is_said_to_be_asked_with_is_what_was(house: Furnished, tmp_path: Path) -> None:
    marking = marking_report("asked", uid("asked", "1", "1"))
    reply = sent(house, tmp_path, WORDS, image("left"), report("asked", "right"), marking)
    assert isinstance(reply, Reply)
    said = [str(item.value) for item in reply.documents[-1].iterall() if item.keyword == "TextValue"]
    assert "with the words of the report sent along" in said


def test_an_encapsulated_document_is_read_and_never_looked_at(house: Furnished, tmp_path: Path) -> None:
    """Its modality is that of the images."""
    assert first(sent(house, tmp_path, WORDS, image("left"), document("asked", "bottom"))) == uid("bottom")
    assert first(sent(house, tmp_path, WORDS, document("asked", "bottom"))) == uid("bottom")
    refused = found(sent(house, tmp_path, PLAIN, document("asked", "bottom"))).refused
    assert refused is not None
    assert refused.reason == "unsupported"


def test_a_report_that_only_marks_a_region_is_a_mark_and_no_words(house: Furnished, tmp_path: Path) -> None:
    marking = marking_report("asked", uid("asked", "1", "1"))
    marked = found(sent(house, tmp_path, WORDS, image("left"), marking))
    assert marked.refused is None
    assert marked.matches[0].place is not None
    assert marked.unused_reports == "empty_report"


def test_a_report_that_only_marks_is_refused_where_there_is_nothing_else(
    house: Furnished, tmp_path: Path
) -> None:
    refused = found(sent(house, tmp_path, WORDS, marking_report("asked", uid("asked", "1", "1")))).refused
    assert refused is not None
    assert refused.reason == "empty_report"


def test_beside_words_of_the_title_a_report_without_any_is_left_out(house: Furnished, tmp_path: Path) -> None:
    preset = Preset("CBIR_TOP", text="top", reads_reports=True)
    reply = sent(house, tmp_path, preset, marking_report("asked", uid("asked", "1", "1")))
    assert first(reply) == uid("top")


def test_where_no_encoder_reads_the_refusal_says_so(house: Furnished, tmp_path: Path) -> None:
    house.encoder.reads = False
    for datasets in ((report("asked", "top"),), (image(), report("asked", "top"))):
        refused = found(sent(house, tmp_path, WORDS, *datasets)).refused
        assert refused is not None
        assert refused.reason == "not_configured"


def test_what_is_typed_about_an_image_is_asked_with_where_the_title_reads_words(
    house: Furnished, tmp_path: Path
) -> None:
    own = image("left")
    both = own, key_object([own], "113000", description="right")
    assert first(sent(house, tmp_path, PLAIN, *both)) == uid("left")
    reply = sent(house, tmp_path, WORDS, *both)
    assert first(reply) == uid("right")
    assert isinstance(reply, Reply)
    said = [str(item.value) for item in reply.documents[-1].iterall() if item.keyword == "TextValue"]
    assert any(text.startswith("with the words") and "right" in text for text in said)


def test_what_is_typed_takes_the_place_of_the_words_of_the_title(house: Furnished, tmp_path: Path) -> None:
    preset = Preset("CBIR_TOP", text="top", text_weight=1.0, reads_reports=True)
    own = image("left")
    assert first(sent(house, tmp_path, preset, own)) == uid("top")
    assert first(sent(house, tmp_path, preset, own, key_object([own], "113000", description="right"))) == uid(
        "right"
    )


def test_words_that_are_typed_and_known_to_no_encoder_are_refused(house: Furnished, tmp_path: Path) -> None:
    house.encoder.reads = False
    own = image("left")
    refused = found(
        sent(house, tmp_path, WORDS, own, key_object([own], "113000", description="right"))
    ).refused
    assert refused is not None
    assert refused.reason == "not_configured"


def test_our_own_answer_never_asks_in_words(house: Furnished, tmp_path: Path) -> None:
    own = report("asked", "right", Manufacturer=MANUFACTURER)
    assert sent(house, tmp_path, WORDS, own) == "echo"
    beside = found(sent(house, tmp_path, WORDS, image("left"), own))
    assert beside.matches[0].reference.study_instance_uid == uid("left")
    assert beside.unused_reports == ""
