"""A case that was flagged, and cannot be compared now, costs no answer, and is named nowhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from indexer.ae.answering import Answering, Reply
from indexer.ae.preset import Preset
from indexer.domain import SeriesReference
from indexer.ledger import KeptFlag
from indexer.ports import Caller
from tests.fakes.answers import instance, uid, write
from tests.fakes.archive import FakeArchive
from tests.fakes.collected import Collected
from tests.fakes.encoder import BRIGHT, VERSION
from tests.fakes.house import Furnished
from tests.indexer.ae.test_answering import marked, texts

UIDS_OF_THE_ABSENT = (uid("top"), uid("top", "1"))


class Forbidding(FakeArchive):
    """An archive that shows one study to nobody."""

    forbidden = ""

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        allowed = [one for one in series if one.study_instance_uid != self.forbidden]
        return super().visible(caller, allowed)


@pytest.fixture
def house(empty_house: Furnished, tmp_path: Path) -> Furnished:
    """Four cases; of the first two the caller flagged one series each."""
    empty_house.archive = Forbidding()
    for side in BRIGHT:
        prior = instance(side, PatientID=f"patient {side}", PixelData=bright(side))
        empty_house.index_series(write(tmp_path / "archive", prior))
    at = Collected(tmp_path, empty_house.ledger).now
    empty_house.ledger.keep_flags(
        [
            KeptFlag("WS1", uid("asked"), uid("top", "1"), "more", at),
            KeptFlag("WS1", uid("asked"), uid("right", "1"), "less", at),
        ]
    )
    return empty_house


def bright(side: str) -> bytes:
    return np.rint(BRIGHT[side] * 4095).astype("<u2").tobytes()


def make_absent(house: Furnished, why: str) -> None:
    """Take the first case from what is searched; the ledger goes on saying that it is indexed."""
    if why == "hidden":
        assert isinstance(house.archive, Forbidding)
        house.archive.forbidden = uid("top")
    else:
        [row] = house.ledger.find(series_instance_uid=uid("top", "1"))
        house.index.delete(VERSION, [row.archive_id])


def answered(house: Furnished, folder: Path, *beside: Dataset) -> Reply:
    asked = instance("asked", number=1, PixelData=bright("left"))
    choosing = Collected(folder, house.ledger).choosing()
    paths = write(folder / "q", asked, *beside)
    reply = Answering(house.search(), choosing=choosing).answer(paths, "WS1", "q1", Preset(""))
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize("why", ["no vectors of the encoder that is searched", "hidden"])
def test_a_flagged_case_that_cannot_be_compared_is_left_out_and_the_other_is_heeded(
    house: Furnished, tmp_path: Path, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_absent(house, why)
    with caplog.at_level(logging.INFO):
        reply = answered(house, tmp_path)
    assert reply.found.refused is None
    assert {match.reference.study_instance_uid for match in reply.found.matches} == {
        uid("left"),
        uid("bottom"),
    }
    assert [less.series_instance_uid for less in reply.found.less] == [uid("right", "1")]
    assert "question_refined question=q1 more=0 less=1" in caplog.text
    _, report = reply.documents
    assert "less like 1 chosen case" in texts(report)
    assert "more like" not in texts(report)
    for named in UIDS_OF_THE_ABSENT:
        assert named not in caplog.text
        assert all(named not in document.to_json() for document in reply.documents)


def test_a_mark_is_used_whatever_became_of_the_cases_that_were_flagged(
    house: Furnished, tmp_path: Path
) -> None:
    """It is not the mark's fault that nothing is found of them."""
    make_absent(house, "no vectors of the encoder that is searched")
    reply = answered(house, tmp_path, marked(uid("asked", "1", "1")))
    _, report = reply.documents
    assert reply.found.refused is None
    assert any(match.place is not None for match in reply.found.matches)
    assert "A mark was not used" not in texts(report)


def test_where_no_flagged_case_can_be_compared_it_is_not_said_that_any_was(
    house: Furnished, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for row in house.ledger.find(series_instance_uid=uid("right", "1")):
        house.index.delete(VERSION, [row.archive_id])
    make_absent(house, "no vectors of the encoder that is searched")
    with caplog.at_level(logging.INFO):
        reply = answered(house, tmp_path)
    assert reply.found.refused is None
    assert "chosen case" not in texts(reply.documents[1])
    assert "question_refined" not in caplog.text
