"""What the API refuses, with what a caller can do about it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from indexer.domain import SeriesEmbedding
from indexer.ledger import Failed, Ledger
from tests.fakes.house import Furnished
from tests.indexer.api.asking import about, asked, problem, raw, zipped
from tests.indexer.conftest import Studies


def test_an_unknown_uid_is_404(client: httpx.Client) -> None:
    for example in ({"study_instance_uid": "1.2.3"}, {"series_instance_uid": "1.2.3"}):
        assert problem(client.post("/api/search", json={"example": example}), 404)["reason"] == "not_found"
    instance = client.post("/api/search", json={"example": {"sop_instance_uid": "1.2.3"}})
    problem(instance, 404)
    problem(client.get("/api/studies/1.2.3"), 404)
    problem(client.get("/api/instances/1.2.3/frames/1/rendered"), 404)
    problem(client.get("/api/nothing"), 404)
    problem(client.get("/web/nothing.js"), 404)
    problem(client.get("/web/..%2f..%2fsearch.py"), 404)


def test_a_study_that_is_not_indexed_yet_is_409_with_its_state(house: Furnished, studies: Studies) -> None:
    new = studies.new("chest-cr")
    archive_id = house.store(new.paths)
    with asked(house) as client:
        document = problem(client.post("/api/search", json=about(new)), 409)
        assert (document["state"], document["reason"]) == ("waiting", "not_indexed")
        house.finish(archive_id, Failed("decoder_timeout", "The decoder took too long."))
        document = problem(client.post("/api/search", json=about(new)), 409)
        assert (document["state"], document["reason"]) == ("failed", "decoder_timeout")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Ask with an example"),
        ({"example": {}}, "exactly one"),
        ({"example": {"study_instance_uid": "1", "series_instance_uid": "2"}}, "exactly one"),
        ({"example": {"study_instance_uid": "1", "frame_number": 1}}, "frame_number"),
        ({"example": {"study_instance_uid": "not a uid"}}, "study_instance_uid"),
        ({"example": {"sop_instance_uid": "1", "frame_number": 0}}, "frame_number"),
        ({"example": {"study_instance_uid": "1"}, "limit": 0}, "limit"),
        ({"example": {"study_instance_uid": "1"}, "limit": 101}, "limit"),
        ({"example": {"study_instance_uid": "1"}, "top": 3}, "allowed are example, limit, filters"),
        ({"example": {"study_uid": "1"}}, "allowed are study_instance_uid"),
        ({"example": {"study_instance_uid": "1"}, "filters": {"modalities": []}}, "allowed are modality"),
        ({"example": {"study_instance_uid": "1"}, "filters": {"study_date_from": "soon"}}, "2024-01-31"),
        ({"example": {"study_instance_uid": "1"}, "filters": {"study_date_from": 20240131}}, "2024-01-31"),
        ({"example": {"study_instance_uid": "1"}, "filters": {"study_date_to": "2024-02-31"}}, "date"),
        (
            {
                "example": {"study_instance_uid": "1"},
                "filters": {"study_date_from": "2024-02-01", "study_date_to": "2024-01-01"},
            },
            "after",
        ),
    ],
)
def test_a_question_that_is_not_understood_is_422_and_told_why(
    client: httpx.Client, body: dict[str, object], says: str
) -> None:
    document = problem(client.post("/api/search", json=body), 422)
    assert says in document["detail"]


def test_options_that_are_not_known_are_refused_everywhere(client: httpx.Client, studies: Studies) -> None:
    assert "allowed are" in problem(raw(client, studies.new("chest-cr"), patient="x"), 422)["detail"]
    assert "allowed are" in problem(client.get("/api/studies?page=2"), 422)["detail"]
    assert "allowed are" in problem(client.get("/api/series?page=2"), 422)["detail"]
    problem(client.get("/api/series?state=lost"), 422)
    problem(client.get("/api/studies?cursor=made-up"), 422)


def test_a_problem_never_repeats_what_was_sent(client: httpx.Client) -> None:
    body = {"example": {"study_instance_uid": "Nightingale^Florence"}, "limit": "Florence"}
    assert "Florence" not in client.post("/api/search", json=body).text


def test_json_that_is_none_is_422(client: httpx.Client) -> None:
    answer = client.post("/api/search", content=b"{not json", headers={"Content-Type": "application/json"})
    problem(answer, 422)


def test_a_method_that_is_not_offered_is_405(client: httpx.Client) -> None:
    problem(client.get("/api/search"), 405)


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/dicom", b"no DICOM at all"),
        ("application/dicom", bytes(128) + b"DICM" + b"and then nonsense"),
        ("application/zip", b"PK\x03\x04 broken"),
        ("application/pdf", b"%PDF"),
    ],
)
def test_bad_dicom_is_422(client: httpx.Client, content_type: str, content: bytes) -> None:
    answer = client.post("/api/search/upload", content=content, headers={"Content-Type": content_type})
    problem(answer, 422)


def test_an_example_of_two_studies_is_422(client: httpx.Client, studies: Studies) -> None:
    paths = studies.new("chest-cr").paths + studies.new("breast-us").paths
    answer = client.post(
        "/api/search/upload", content=zipped(paths), headers={"Content-Type": "application/zip"}
    )
    assert "one study" in problem(answer, 422)["detail"]


def test_an_upload_that_is_too_large_is_413_declared_or_not(house: Furnished, studies: Studies) -> None:
    content = studies.new("chest-cr").paths[0].read_bytes()
    headers = {"Content-Type": "application/dicom"}
    with asked(house, max_upload_bytes=1000) as client:
        problem(client.post("/api/search/upload", content=content[:5000], headers=headers), 413)
        chunks = (content[start : start + 500] for start in range(0, 5000, 500))
        problem(client.post("/api/search/upload", content=chunks, headers=headers), 413)


def test_a_large_body_where_a_small_one_is_wanted_is_413(client: httpx.Client) -> None:
    problem(client.post("/api/search", content=b" " * (2**20 + 1)), 413)


def test_more_questions_than_allowed_are_429_with_a_time_to_wait(
    house: Furnished, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    embed = house.encoder.embed

    def slowly(instances: Sequence[Path]) -> tuple[SeriesEmbedding, ...]:
        inside.set()
        assert go_on.wait(120)
        return embed(instances)

    monkeypatch.setattr(house.encoder, "embed", slowly)
    answers: list[httpx.Response] = []
    with asked(house, max_questions=1) as client:
        first = threading.Thread(target=lambda: answers.append(raw(client, studies.new("chest-cr"))))
        first.start()
        assert inside.wait(60)
        refused = client.post("/api/search", json=about(studies.old("chest-cr")[0]))
        uploaded = raw(client, studies.new("chest-cr"))
        alive = client.get("/healthz")
        go_on.set()
        first.join()
        again = client.post("/api/search", json=about(studies.old("chest-cr")[0]))
    assert problem(refused, 429)["reason"] == "overloaded"
    assert int(refused.headers["retry-after"]) > 0
    problem(uploaded, 429)
    assert alive.status_code == answers[0].status_code == again.status_code == 200


@pytest.mark.parametrize("neighbour", ["archive", "index", "encoder"])
def test_a_neighbour_that_is_down_is_503_and_named(
    house: Furnished, studies: Studies, neighbour: str
) -> None:
    with asked(house) as client:
        getattr(house, neighbour).unavailable = True
        answer = {
            "archive": lambda: client.get("/api/instances/1.2.3/frames/1/rendered"),
            "index": lambda: client.post("/api/search", json=about(studies.old("chest-cr")[0])),
            "encoder": lambda: raw(client, studies.new("chest-cr")),
        }[neighbour]()
        reason = problem(answer, 503)["reason"]
        assert int(answer.headers["retry-after"]) > 0
        assert (
            reason
            == {
                "archive": "archive_unavailable",
                "index": "vector_index_unavailable",
                "encoder": "encoder_unavailable",
            }[neighbour]
        )


def test_a_fault_of_ours_is_500_without_its_text(
    house: Furnished, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(self: Ledger) -> None:
        raise ZeroDivisionError("Nightingale^Florence")

    monkeypatch.setattr(Ledger, "counts", fault)
    with caplog.at_level(logging.DEBUG), asked(house) as client:
        answer = client.get("/api/status")
        assert client.get("/healthz").status_code == 200
    problem(answer, 500)
    assert "Florence" not in answer.text + caplog.text
    assert "Traceback" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"
