"""Reports among the files of an upload are asked with in words, where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset

from indexer.answers.identity import MANUFACTURER
from indexer.api import ApiSettings
from indexer.domain import SeriesEmbedding
from indexer.errors import Unsupported
from indexer.intake.multipart_related import RelatedBody
from indexer.ports import MOST_REPORTS
from tests.fakes.answers import instance, uid, write
from tests.fakes.encoder import BRIGHT, FakeEncoder
from tests.fakes.house import Furnished, served
from tests.fakes.key_objects import key_object
from tests.fakes.reports import document, marking_report, report


def bright(side: str) -> bytes:
    return np.rint(BRIGHT[side] * 4095).astype("<u2").tobytes()


@pytest.fixture
def house(empty_house: Furnished, tmp_path: Path) -> Furnished:
    """Four studies of other patients, each bright on another side."""
    for side in BRIGHT:
        prior = instance(side, PatientID=f"patient {side}", PixelData=bright(side))
        empty_house.index_series(write(tmp_path / "archive", prior))
    return empty_house


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    with served(house.app(ApiSettings())) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def upload(
    client: httpx.Client, folder: Path, *datasets: Dataset, accept: str = "", **query: str | float | bool
) -> httpx.Response:
    body = RelatedBody(write(folder / "upload", *datasets))
    headers = {"Content-Type": body.content_type} | ({"Accept": accept} if accept else {})
    return client.post("/api/search/upload", params=query, content=b"".join(body), headers=headers)


def first(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["matches"][0]["study_instance_uid"])


def image(side: str = "left") -> Dataset:
    return instance("asked", PixelData=bright(side))


def test_reports_are_read_where_that_is_wanted_and_ignored_otherwise(
    client: httpx.Client, tmp_path: Path
) -> None:
    both = image("left"), report("asked", "right")
    ignored = upload(client, tmp_path, *both)
    assert first(ignored) == uid("left")
    assert ignored.json()["query"]["reports"] == 0
    read = upload(client, tmp_path, *both, reads_reports=True, text_weight=1)
    assert first(read) == uid("right")
    query = read.json()["query"]
    assert (query["uploaded"], query["reports"], query["unused_reports"]) == (2, 1, None)
    assert query["text"] == ""
    assert first(upload(client, tmp_path, *both, reads_reports=True, text_weight=0)) == uid("left")


def test_what_is_typed_about_an_image_is_its_text_where_none_is_asked_with(
    client: httpx.Client, tmp_path: Path
) -> None:
    own = image("left")
    both = own, key_object([own], "113000", description="right")
    assert first(upload(client, tmp_path, *both)) == uid("left")
    read = upload(client, tmp_path, *both, reads_reports=True, text_weight=1)
    assert first(read) == uid("right")
    assert (read.json()["query"]["text"], read.json()["query"]["reports"]) == ("right", 0)
    other = upload(client, tmp_path, *both, reads_reports=True, text_weight=1, text="top")
    assert first(other) == uid("top")


@pytest.mark.parametrize("alone", [report("asked", "top"), document("asked", "top")])
def test_reports_alone_are_a_question_in_words(client: httpx.Client, tmp_path: Path, alone: Dataset) -> None:
    answer = upload(client, tmp_path, alone, reads_reports=True, picture=True, maps=True)
    assert first(answer) == uid("top")
    assert answer.json()["query"]["picture"] is None
    refused = upload(client, tmp_path, alone)
    assert refused.status_code == 422


def test_a_text_and_a_report_are_asked_with_together(client: httpx.Client, tmp_path: Path) -> None:
    answer = upload(client, tmp_path, report("asked", "top"), reads_reports=True, text="left", limit=4)
    matches = [match["study_instance_uid"] for match in answer.json()["matches"]]
    assert set(matches[:2]) == {uid("top"), uid("left")}


def test_every_step_is_told_of_a_question_in_words_too(client: httpx.Client, tmp_path: Path) -> None:
    told = upload(client, tmp_path, report("asked", "top"), accept="application/x-ndjson", reads_reports=True)
    assert told.status_code == 200
    assert uid("top") in told.text.splitlines()[-1]


def test_no_word_of_a_report_comes_back(client: httpx.Client, tmp_path: Path) -> None:
    answer = upload(client, tmp_path, image(), report("asked", "top zwixelform"), reads_reports=True)
    assert answer.status_code == 200
    assert "zwixelform" not in answer.text


def test_where_no_encoder_reads_it_is_said_how_to_get_one(
    client: httpx.Client, house: Furnished, tmp_path: Path
) -> None:
    house.encoder.reads = False
    for datasets in ((report("asked", "top"),), (image(), report("asked", "top"))):
        answer = upload(client, tmp_path, *datasets, reads_reports=True)
        assert (answer.status_code, answer.json()["reason"]) == (409, "not_configured")
    assert upload(client, tmp_path, image(), reads_reports=True).status_code == 200


def test_a_report_without_words_is_left_out_beside_images_and_refused_alone(
    client: httpx.Client, tmp_path: Path
) -> None:
    marking = marking_report("asked", uid("asked", "1", "1"))
    beside = upload(client, tmp_path, image("left"), marking, reads_reports=True)
    assert first(beside) == uid("left")
    assert beside.json()["query"]["unused_reports"] == "empty_report"
    alone = upload(client, tmp_path, marking, reads_reports=True)
    assert (alone.status_code, alone.json()["reason"]) == (422, "empty_report")


class SeesNothing(FakeEncoder):
    """Every image is of one grey level."""

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        raise Unsupported("The frame shows nothing.", reason="blank_frame")


def test_no_report_is_said_to_be_asked_with_where_the_example_is_refused(
    house: Furnished, tmp_path: Path
) -> None:
    house.encoder = SeesNothing()
    with served(house.app(ApiSettings())) as url, httpx.Client(base_url=url, timeout=60) as client:
        answer = upload(client, tmp_path, image(), report("asked", "top"), reads_reports=True).json()
    assert answer["refused"]["reason"] == "blank_frame"
    assert (answer["query"]["reports"], answer["query"]["unused_reports"]) == (0, None)


def test_of_very_many_reports_the_first_are_asked_with(client: httpx.Client, tmp_path: Path) -> None:
    many = [report("asked", "top", SOPInstanceUID=uid("report", str(n))) for n in range(MOST_REPORTS + 1)]
    answer = upload(client, tmp_path, image(), *many, reads_reports=True)
    assert answer.json()["query"]["reports"] == MOST_REPORTS


def test_our_own_answer_is_no_report_to_ask_with(client: httpx.Client, tmp_path: Path) -> None:
    own = report("asked", "right", Manufacturer=MANUFACTURER)
    answer = upload(client, tmp_path, image("left"), own, reads_reports=True, text_weight=1)
    assert first(answer) == uid("left")
    assert answer.json()["query"]["reports"] == 0
    assert upload(client, tmp_path, own, reads_reports=True).status_code == 422
