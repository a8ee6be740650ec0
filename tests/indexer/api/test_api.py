"""The API over a real server: asking, browsing, pictures, errors."""

from __future__ import annotations

import base64
import io
import json
import logging
import socket
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydicom import dcmread

from demo.families import WrittenStudy
from indexer.api import ApiSettings
from indexer.api.application import RENDERINGS_WAITING
from indexer.domain import SeriesEmbedding
from indexer.errors import LedgerUnavailable
from indexer.intake.multipart_related import RelatedBody
from indexer.ledger import Failed, Ledger
from indexer.ports import Window
from tests.fakes.encoder import FakeEncoder
from tests.fakes.house import LINKS, Furnished, by_series, served
from tests.fakes.watched import Watched
from tests.fakes.workstation import wait_until
from tests.indexer.conftest import Studies

DICOM_JSON = "application/dicom+json"
Option = str | int | bool | list[str]


@contextmanager
def asked(house: Furnished, **settings: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - as ApiSettings
    app = house.app(ApiSettings(**{"links": LINKS, **settings}))
    with served(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    with asked(house) as client:
        yield client


def about(study: WrittenStudy, **more: object) -> dict[str, object]:
    return {"example": {"study_instance_uid": study.study_instance_uid}, **more}


def studies_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [match["study_instance_uid"] for match in answer.json()["matches"]]


def uids(studies: list[WrittenStudy]) -> set[str]:
    return {study.study_instance_uid for study in studies}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["detail"]
    assert document["title"]
    return document


# Asking


def test_the_answer_has_the_shape_that_was_promised(client: httpx.Client, studies: Studies) -> None:
    answer = client.post("/api/search", json=about(studies.old("brain-mr")[0], limit=3)).json()
    assert answer.keys() == {
        "query", "encoder", "matches", "same_patient", "refused", "took_ms", "notice",
    }  # fmt: skip
    assert answer["encoder"].keys() == {"name", "sha256"}
    assert answer["notice"].startswith("Not for diagnosis")
    assert answer["query"]["limit"] == 3
    assert answer["query"]["study_instance_uid"] == studies.old("brain-mr")[0].study_instance_uid
    assert len(answer["query"]["series"]) == 2
    assert answer["took_ms"] > 0
    match = answer["matches"][0]
    assert {
        "rank", "score", "study_instance_uid", "series_instance_uid", "sop_instance_uid", "frame_number",
        "modality", "body_part_examined", "study_date", "retrieve_url", "retrieve_ae_title",
    } <= match.keys()  # fmt: skip
    assert (match["rank"], match["modality"], match["body_part_examined"]) == (1, "MR", "BRAIN")
    assert match["study_date"] == "2017-03-15" or match["study_date"] == "2016-02-15"
    assert match["retrieve_ae_title"] == "ORTHANC"
    assert match["retrieve_url"].endswith(
        f"/studies/{match['study_instance_uid']}/series/{match['series_instance_uid']}"
        f"/instances/{match['sop_instance_uid']}"
    )


@pytest.mark.parametrize("family", ["brain-mr", "chest-cr", "breast-us"])
def test_the_same_family_comes_first_and_the_own_study_never(
    client: httpx.Client, studies: Studies, family: str
) -> None:
    first, *others = studies.old(family)
    found = studies_of(client.post("/api/search", json=about(first)))
    assert set(found[: len(others)]) == uids(others)
    assert first.study_instance_uid not in found


def test_matches_are_ranked_from_one_by_falling_score(client: httpx.Client, studies: Studies) -> None:
    matches = client.post("/api/search", json=about(studies.old("spine-mr")[0])).json()["matches"]
    assert [match["rank"] for match in matches] == list(range(1, len(matches) + 1))
    scores = [match["score"] for match in matches]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


def test_a_series_an_instance_and_a_frame_are_examples_too(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    shown = client.get(f"/api/studies/{studies.old('brain-mr')[0].study_instance_uid}").json()
    series = shown["series"][0]
    frame = series["frames"][2]
    for example in (
        {"series_instance_uid": series["series_instance_uid"]},
        {"sop_instance_uid": frame["sop_instance_uid"]},
        {"sop_instance_uid": frame["sop_instance_uid"], "frame_number": 1},
    ):
        answer = client.post("/api/search", json={"example": example, "limit": 2})
        assert set(studies_of(answer)) == uids(studies.old("brain-mr")[1:])
    assert answer.json()["matches"][0]["example_sop_instance_uid"] == frame["sop_instance_uid"]


def test_filters_narrow_the_matches(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    everything = studies_of(client.post("/api/search", json=about(first, limit=50)))
    assert len(everything) == len(studies.indexed) - 1
    only_ct = client.post("/api/search", json=about(first, filters={"modality": ["ct"]}))
    assert set(studies_of(only_ct)) == uids(studies.old("abdomen-ct"))
    spine = client.post("/api/search", json=about(first, filters={"body_part_examined": ["LSPINE"]}))
    assert set(studies_of(spine)) == uids(studies.old("spine-mr"))
    days = {"study_date_from": "2016-01-01", "study_date_to": "20161231"}
    dated = client.post("/api/search", json=about(first, filters=days))
    assert {match["study_date"] for match in dated.json()["matches"]} == {"2016-02-15"}


def test_the_same_patient_is_left_out_unless_asked_for(
    empty_house: Furnished, studies: Studies, tmp_path: Path
) -> None:
    one, other = studies.old("chest-cr")[:2]
    empty_house.index_series(one.paths)
    empty_house.index_series(_as_patient_of(one, other, tmp_path))
    with asked(empty_house) as client:
        assert studies_of(client.post("/api/search", json=about(one))) == []
        answer = client.post("/api/search", json=about(one, same_patient=True))
        assert studies_of(answer) == []


def _as_patient_of(one: WrittenStudy, other: WrittenStudy, folder: Path) -> list[Path]:
    import pydicom  # noqa: PLC0415 - only here

    dataset = pydicom.dcmread(other.paths[0])
    dataset.PatientID = pydicom.dcmread(one.paths[0]).PatientID
    dataset.save_as(folder / "same.dcm")
    return [folder / "same.dcm"]


# Asking with DICOM that is sent along


def zipped(paths: tuple[Path, ...]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in paths:
            archive.write(path, f"{path.parent.parent.name}/{path.name}")
    return buffer.getvalue()


def raw(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    return client.post(
        "/api/search/upload",
        params=query,
        content=study.paths[0].read_bytes(),
        headers={"Content-Type": "application/dicom"},
    )


def archived(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    return client.post(
        "/api/search/upload",
        params=query,
        content=zipped(study.paths),
        headers={"Content-Type": "application/zip"},
    )


def related(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    body = RelatedBody(study.paths)
    return client.post(
        "/api/search/upload", params=query, content=body, headers={"Content-Type": body.content_type}
    )


def in_a_form(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    files = [("files", (path.name, path.read_bytes())) for path in study.paths]
    return client.post("/api/search/upload", params=query, files=files)


def in_base64(text: str) -> dict[str, str]:
    return {"X-CBIR-Text": base64.b64encode(text.encode()).decode(), "Content-Type": "application/dicom"}


def test_words_are_sent_beside_an_upload_in_a_header_or_in_the_query(
    client: httpx.Client, studies: Studies
) -> None:
    url, content = "/api/search/upload", studies.new("chest-cr").paths[0].read_bytes()
    kind = {"Content-Type": "application/dicom"}
    in_query = client.post(url, params={"text": "left", "text_weight": 1}, content=content, headers=kind)
    in_header = client.post(url, params={"text_weight": 1}, content=content, headers=in_base64(" left "))
    assert studies_of(in_header) == studies_of(in_query)
    assert in_header.json()["query"]["text"] == "left"
    assert studies_of(client.post(url, content=content, headers=kind)) != studies_of(in_query)


@pytest.mark.parametrize("letter", ["é", "漢", "😀"])
def test_two_thousand_letters_of_any_script_may_be_sent_beside_an_upload(
    client: httpx.Client, studies: Studies, letter: str
) -> None:
    content = studies.new("chest-cr").paths[0].read_bytes()
    text = ("left " + letter * 2000)[:2000]
    answer = client.post("/api/search/upload", content=content, headers=in_base64(text))
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"]["text"] == text
    problem(client.post("/api/search/upload", content=content, headers=in_base64(letter + text)), 422)


def test_words_that_cannot_be_read_are_refused(client: httpx.Client) -> None:
    url, kind = "/api/search/upload", {"Content-Type": "application/dicom"}
    for bad in ("left!", "/w==", "a", "QUJD" * 3000):
        refused = client.post(url, content=b"x", headers={**kind, "X-CBIR-Text": bad})
        assert problem(refused, 422)["reason"] == "malformed"
    both = client.post(url, params={"text": "left"}, content=b"x", headers=in_base64("left"))
    assert problem(both, 422)["reason"] == "malformed"


@pytest.mark.parametrize("send", [raw, archived, related, in_a_form])
@pytest.mark.parametrize("family", ["brain-mr", "chest-cr"])
def test_every_form_of_upload_finds_the_same_family(
    client: httpx.Client, studies: Studies, family: str, send: Callable[..., httpx.Response]
) -> None:
    answer = send(client, studies.new(family), limit=3)
    assert set(studies_of(answer)) == uids(studies.old(family))


def test_the_options_of_an_upload_stand_in_the_query(client: httpx.Client, studies: Studies) -> None:
    new = studies.new("brain-mr")
    answer = in_a_form(client, new, limit=2, modality=["CT", "US"], study_date_to="2016-12-31")
    matches = answer.json()["matches"]
    assert len(matches) == 2
    assert {match["modality"] for match in matches} <= {"CT", "US"}
    assert all(match["study_date"] <= "2016-12-31" for match in matches)
    assert answer.json()["query"]["uploaded"] == len(new.paths)


def test_the_example_of_an_upload_is_shown_when_asked_for(client: httpx.Client, studies: Studies) -> None:
    answer = raw(client, studies.new("chest-cr"), picture=True).json()
    assert answer["query"]["picture"].startswith("data:image/png;base64,")
    assert raw(client, studies.new("chest-cr")).json()["query"]["picture"] is None


def test_nothing_of_an_upload_is_kept(
    client: httpx.Client, studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert archived(client, studies.new("brain-mr")).status_code == 200
    assert client.post("/api/search/upload", content=b"junk").status_code == 422
    assert not list(tmp_path.iterdir())


def test_an_upload_that_is_given_up_leaves_nothing_and_its_place_is_free_again(
    house: Furnished, studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(house, max_questions=1) as client:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        address = (client.base_url.host, client.base_url.port or 0)
        with socket.create_connection(address) as connection:
            connection.sendall(
                b"POST /api/search/upload HTTP/1.1\r\nHost: here\r\nContent-Type: application/dicom\r\n"
                b"Content-Length: 100000\r\n\r\n" + bytes(5000)
            )
            wait_until(lambda: bool(list(tmp_path.iterdir())))
        wait_until(lambda: not list(tmp_path.iterdir()))
        assert raw(client, studies.new("chest-cr")).status_code == 200


def test_files_that_are_no_dicom_are_counted(client: httpx.Client, studies: Studies) -> None:
    path = studies.new("chest-cr").paths[0]
    files = [("files", ("a.dcm", path.read_bytes())), ("files", ("b.txt", b"hello"))]
    answer = client.post("/api/search/upload", files=files).json()
    assert (answer["query"]["uploaded"], answer["query"]["ignored"]) == (1, 1)


def test_dicom_json_has_one_dataset_a_match_and_names_nobody(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    plain = client.post("/api/search", json=about(first))
    answer = client.post("/api/search", json=about(first), headers={"Accept": DICOM_JSON})
    assert answer.headers["content-type"] == DICOM_JSON
    datasets = answer.json()
    assert [dataset["0020000D"]["Value"][0] for dataset in datasets] == studies_of(plain)
    assert datasets[0]["00080060"]["Value"] == ["MR"]
    assert answer.headers["x-cbir-notice"].startswith("Not for diagnosis")
    assert answer.headers["x-cbir-outcome"] == "found"
    for dataset in datasets:
        assert not {"00100010", "00100020", "00100030", "00080050"} & dataset.keys()
    assert "Synthetic" not in answer.text
    uploaded = client.post(
        "/api/search/upload",
        content=first.paths[0].read_bytes(),
        headers={"Content-Type": "application/dicom", "Accept": DICOM_JSON},
    )
    assert uploaded.headers["content-type"] == DICOM_JSON
    assert uploaded.headers["x-cbir-outcome"] == "found"


def test_dicom_json_tells_a_refusal_from_nothing_found(house: Furnished, studies: Studies) -> None:
    blank = studies.new("chest-cr")
    house.finish(house.store(blank.paths), Failed("blank_frame", "It shows nothing."))
    with asked(house) as client:
        kind = {"Accept": DICOM_JSON}
        refused = client.post("/api/search", json=about(blank), headers=kind)
        question = about(studies.old("brain-mr")[0], filters={"modality": ["XA"]})
        nothing = client.post("/api/search", json=question, headers=kind)
    assert refused.json() == nothing.json() == []
    assert refused.headers["x-cbir-outcome"] == "refused; reason=blank_frame"
    assert nothing.headers["x-cbir-outcome"] == "none-found"
    for answer in (refused, nothing):
        assert answer.headers["x-cbir-notice"].startswith("Not for diagnosis")


def test_no_answer_names_a_patient(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    texts = [
        client.post("/api/search", json=about(first)).text,
        raw(client, first).text,
        client.get("/api/studies").text,
        client.get(f"/api/studies/{first.study_instance_uid}").text,
        client.get("/api/series").text,
        client.get("/metrics").text,
    ]
    assert not [text for text in texts if "Synthetic" in text or "SYN-" in text]


# Saying no


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


# Browsing


def test_the_status_counts_series_and_names_the_encoder(house: Furnished, studies: Studies) -> None:
    failing = house.store(studies.new("chest-cr").paths)
    house.finish(failing, Failed("unreadable", "It cannot be read."))
    house.store(studies.new("breast-us").paths)
    with asked(house) as client:
        status = client.get("/api/status").json()
    indexed = sum(len(by_series(study)) for study in studies.indexed)
    assert status["series"] == {"waiting": 1, "leased": 0, "indexed": indexed, "skipped": 0, "failed": 1}
    assert status["reasons"] == {"unreadable": 1}
    assert status["lag_s"] >= 0
    assert status["encoder"]["name"] == "tiles"
    assert status["text_encoder"] is None


def test_series_are_listed_page_by_page_by_state(client: httpx.Client, studies: Studies) -> None:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/series", params={"state": "indexed", "limit": 5, **cursor}).json()
        found += page["series"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({row["orthanc_id"] for row in found}) == len(found)
    assert len(found) == sum(len(by_series(study)) for study in studies.indexed)
    assert {
        "series_instance_uid", "study_instance_uid", "orthanc_id", "modality", "state", "reason",
        "attempts", "encoder",
    } <= found[0].keys()  # fmt: skip
    assert client.get("/api/series?state=failed").json() == {"series": [], "next_cursor": None}


def listed(client: httpx.Client, **query: Option) -> list[str]:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/studies", params={**query, **cursor}).json()
        found += [study["study_instance_uid"] for study in page["studies"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_studies_are_listed_newest_first_page_by_page(client: httpx.Client, studies: Studies) -> None:
    assert sorted(listed(client, limit=4)) == sorted(uids(studies.indexed))
    first = client.get("/api/studies?limit=4").json()["studies"]
    dates = [study["study_date"] for study in first]
    assert dates == sorted(dates, reverse=True)
    assert first[0]["key_frame"]["frame_number"] == 1


def test_studies_are_listed_by_what_they_are(client: httpx.Client, studies: Studies) -> None:
    assert set(listed(client, modality="MR")) == uids(studies.old("brain-mr") + studies.old("spine-mr"))
    assert set(listed(client, body_part_examined="chest")) == uids(studies.old("chest-cr"))
    days = listed(client, study_date_from="2016-01-01", study_date_to="2016-12-31", limit=2)
    assert set(days) == {studies.old(family)[1].study_instance_uid for family in studies.by_family}


def test_a_study_is_shown_with_its_series_and_frames(client: httpx.Client, studies: Studies) -> None:
    study = studies.old("brain-mr")[0]
    shown = client.get(f"/api/studies/{study.study_instance_uid}").json()
    assert shown["study_instance_uid"] == study.study_instance_uid
    assert [len(series["frames"]) for series in shown["series"]] == [6, 6]
    assert {series["state"] for series in shown["series"]} == {"indexed"}


# Pictures


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def sent_in_steps(client: httpx.Client, paths: Sequence[Path]) -> httpx.Response:
    body = RelatedBody(paths)
    headers = {"Content-Type": body.content_type, "Accept": "application/x-ndjson"}
    return client.post("/api/search/upload", content=b"".join(body), headers=headers)


def test_an_upload_is_told_of_step_by_step_and_its_answer_is_the_last_line(
    client: httpx.Client, studies: Studies
) -> None:
    paths = studies.new("brain-mr").paths
    lines = lines_of(sent_in_steps(client, paths))
    assert lines[:-1] == [
        {"step": "received", "number": len(paths), "of": len(paths)},
        {"step": "embedding", "number": 1, "of": 2},
        {"step": "embedding", "number": 2, "of": 2},
        {"step": "searching", "number": 0, "of": 0},
    ]
    body = RelatedBody(paths)
    plain = client.post(
        "/api/search/upload", content=b"".join(body), headers={"Content-Type": body.content_type}
    ).json()
    answer = lines[-1]["answer"]
    assert answer["matches"] == plain["matches"]
    assert answer["query"]["uploaded"] == len(paths)


def test_an_upload_that_goes_wrong_on_the_way_ends_with_a_problem(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    house.encoder.unavailable = True
    lines = lines_of(sent_in_steps(client, studies.new("chest-cr").paths))
    assert lines[-1]["problem"]["reason"] == "encoder_unavailable"
    assert lines[-1]["problem"]["status"] == 503


def test_a_series_without_frames_is_left_out_beside_one_with_frames(
    client: httpx.Client, studies: Studies, tmp_path: Path
) -> None:
    path = studies.new("chest-cr").paths[0]
    without = dcmread(path)
    without.SeriesInstanceUID, without.SOPInstanceUID = "1.2.3.4", "1.2.3.4.5"
    del without.PixelData
    without.save_as(tmp_path / "without.dcm")
    answer = lines_of(sent_in_steps(client, [tmp_path / "without.dcm", path]))[-1]["answer"]
    assert [series["frames"] for series in answer["query"]["series"]] == [1]
    refused = lines_of(sent_in_steps(client, [tmp_path / "without.dcm"]))
    assert refused[-1]["problem"]["reason"] == "no_pixels"


def test_nothing_is_embedded_for_somebody_who_has_gone(house: Furnished, studies: Studies) -> None:
    embedded: list[int] = []
    apps: list[Watched] = []

    class Slow(FakeEncoder):
        def embed(
            self, instances: Sequence[Path], frame_number: int | None = None
        ) -> tuple[SeriesEmbedding, ...]:
            embedded.append(len(instances))
            assert apps[0].left.wait(120)
            return super().embed(instances, frame_number)

    house.encoder = Slow()
    body = RelatedBody(studies.new("brain-mr").paths)
    headers = {"Content-Type": body.content_type, "Accept": "application/x-ndjson"}
    app = Watched(house.app(ApiSettings(links=LINKS, max_questions=1)), "/api/search/upload")
    apps.append(app)
    with served(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        with client.stream("POST", "/api/search/upload", content=b"".join(body), headers=headers) as answer:
            lines = answer.iter_lines()
            assert [json.loads(next(lines))["step"] for _ in range(2)] == ["received", "embedding"]
        question = about(studies.old("chest-cr")[0])
        wait_until(lambda: client.post("/api/search", json=question).status_code != 429)
    assert len(embedded) == 1


def picture_path(client: httpx.Client, study: WrittenStudy) -> str:
    frame = client.get(f"/api/studies/{study.study_instance_uid}").json()["series"][0]["frames"][0]
    return f"/api/instances/{frame['sop_instance_uid']}/frames/{frame['frame_number']}/rendered"


def test_a_frame_is_rendered_as_a_png_of_the_wanted_size(client: httpx.Client, studies: Studies) -> None:
    answer = client.get(picture_path(client, studies.old("chest-cr")[0]), params={"size": 64})
    assert answer.headers["content-type"] == "image/png"
    assert "private" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == 64


def test_a_picture_that_did_not_change_is_not_sent_or_made_again(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    first = client.get(path)
    rendered = house.encoder.rendered
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path).content == first.content
    assert house.encoder.rendered == rendered


def test_a_frame_is_rendered_through_the_window_that_is_asked_for_and_kept_by_it(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    plain = client.get(path).content
    narrow = client.get(path, params={"window_center": 0.5, "window_width": 0.1}).content
    with Image.open(io.BytesIO(narrow)) as image:
        assert image.text == {"WindowCenter": "0.5", "WindowWidth": "0.1"}  # type: ignore[attr-defined]
    assert narrow != plain
    rendered = house.encoder.rendered
    assert client.get(path).content == plain
    assert client.get(path, params={"window_center": 0.5, "window_width": 0.1}).content == narrow
    assert house.encoder.rendered == rendered
    problem(client.get(path, params={"window_center": 0.5}), 422)
    problem(client.get(path, params={"window_center": 0.5, "window_width": -1}), 422)
    problem(client.get(path, params={"window_center": "nan", "window_width": "inf"}), 422)


def test_a_picture_of_what_was_deleted_is_404_at_once(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    assert client.get(path).status_code == 200
    house.archive.delete_instance(path.split("/")[3])
    problem(client.get(path), 404)


def test_a_frame_that_is_not_there_is_404_and_a_size_that_is_none_422(
    client: httpx.Client, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    problem(client.get(path.replace("/frames/1/", "/frames/99/")), 404)
    problem(client.get(path.replace("/frames/1/", "/frames/0/")), 422)
    problem(client.get(path, params={"size": 1_000_000}), 422)


class Unhurried(FakeEncoder):
    """Renders nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        assert self.let.wait(120)
        return super().render(instance, frame_number, longest_side, window)


def test_more_pictures_at_once_than_may_wait_are_429_and_those_that_waited_are_shown(
    house: Furnished, studies: Studies
) -> None:
    house.encoder = encoder = Unhurried()
    too_many = 3
    asking = 1 + RENDERINGS_WAITING + too_many
    with asked(house, max_renderings=1) as client, ThreadPoolExecutor(asking) as threads:
        path = picture_path(client, studies.old("chest-cr")[0])
        asked_for = [threads.submit(client.get, path, params={"size": 64 + n}) for n in range(asking)]
        try:
            wait_until(lambda: sum(one.done() for one in asked_for) >= too_many)
        finally:
            encoder.let.set()
        answers = [one.result() for one in asked_for]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert too_many <= len(refused) < asking
    for answer in refused:
        assert problem(answer, 429)["reason"] == "overloaded"
        assert int(answer.headers["retry-after"]) > 0


# Health


def test_ready_names_the_neighbour_that_does_not_answer(
    house: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(house) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        house.archive.unavailable = True
        document = problem(client.get("/readyz"), 503)
        assert "archive" in document["detail"]
        assert document["neighbours"]["ledger"] == "answers"
        house.archive.unavailable, house.index.unavailable = False, True
        assert "vector_index" in problem(client.get("/readyz"), 503)["detail"]
        house.index.unavailable = False
        monkeypatch.setattr(Ledger, "counts", _silent)
        assert "ledger" in problem(client.get("/readyz"), 503)["detail"]
        assert client.get("/healthz").status_code == 200


def _silent(self: Ledger) -> None:
    raise LedgerUnavailable("The ledger is switched off by the test.")


def test_metrics_count_series_and_questions(
    client: httpx.Client, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/api/search", json=about(studies.old("chest-cr")[0]))
    client.post("/api/search", json={"example": {"study_instance_uid": "1.2.3"}})
    text = client.get("/metrics").text
    indexed = sum(len(by_series(study)) for study in studies.indexed)
    assert f'cbir_series{{state="indexed"}} {float(indexed)}' in text
    assert 'cbir_questions_total{outcome="answered",way="reference"} 1.0' in text
    assert 'cbir_questions_total{outcome="not_found",way="reference"} 1.0' in text
    assert 'cbir_question_seconds_count{way="reference"} 2.0' in text
    assert "cbir_lag_seconds" in text
    monkeypatch.setattr(Ledger, "counts", _silent)
    assert "cbir_ledger_up 0.0" in client.get("/metrics").text


def test_the_api_describes_itself_without_asking_anybody_else(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/api/search", "/api/search/upload", "/api/status", "/readyz"} <= described["paths"].keys()
    upload = described["paths"]["/api/search/upload"]["post"]["requestBody"]["content"]
    assert {"application/dicom", "application/zip", "multipart/related", "multipart/form-data"} == set(upload)
    assert "http://" not in client.get("/docs").text.replace("http://www.w3.org", "")
    assert "https://" not in client.get("/docs").text
    assert json.dumps(described).count("QuestionBody") > 0
