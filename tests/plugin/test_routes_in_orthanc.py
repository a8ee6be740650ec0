"""The routes below /cbir/ of a real Orthanc: one for all of these tests."""

from __future__ import annotations

import json
import os
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.orthanc import LocalOrthanc
from tests.fakes.indexer import Canned, Received, RecordingIndexer, eventually
from tests.fakes.studies import SENDER, send, small_series

pytestmark = pytest.mark.orthanc

POST = {"X-CBIR-Request": "1"}
SLOW_S = 120.0


@pytest.fixture(scope="module")
def started(
    orthanc_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalOrthanc, RecordingIndexer]]:
    del orthanc_binary
    folder = tmp_path_factory.mktemp("orthanc")
    with RecordingIndexer() as indexer:
        modalities = {SENDER: ("127.0.0.1", 104)}
        with LocalOrthanc(folder, indexer.url, indexer.secret, modalities) as orthanc:
            yield orthanc, indexer


@pytest.fixture
def orthanc(started: tuple[LocalOrthanc, RecordingIndexer]) -> LocalOrthanc:
    return started[0]


@pytest.fixture
def indexer(started: tuple[LocalOrthanc, RecordingIndexer]) -> RecordingIndexer:
    started[1].received.clear()
    started[1].on_asking = lambda _: Canned()
    return started[1]


@pytest.fixture
def client(orthanc: LocalOrthanc) -> Iterator[httpx.Client]:
    with orthanc.client() as opened:
        yield opened


def test_the_page_and_the_api_are_reached_through_orthanc(
    client: httpx.Client, orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    csp = "default-src 'self'"
    indexer.on_asking = lambda request: Canned(
        200,
        request.target.encode() + bytes(range(256)),
        {"Content-Type": "text/x", "Content-Security-Policy": csp},
    )
    answer = client.get("/cbir/api/studies", params={"modality": "MR", "cursor": "ä b"})
    assert answer.status_code == 200
    assert answer.content == b"/api/studies?modality=MR&cursor=%C3%A4+b" + bytes(range(256))
    assert (answer.headers["content-type"], answer.headers["content-security-policy"]) == ("text/x", csp)
    assert client.get("/cbir/").content.startswith(b"/\x00")
    assert client.get("/cbir/web/tokens.css").content.startswith(b"/web/tokens.css")
    assert client.get("/cbir/api/maps").content.startswith(b"/api/maps\x00")
    assert client.get("/cbir/api/destinations").content.startswith(b"/api/destinations\x00")
    assert client.post("/cbir/api/send", headers=POST).content.startswith(b"/api/send\x00")
    sent = indexer.asked()[0].headers
    assert (sent["x-cbir-user"], sent["x-cbir-forwarded"]) == (orthanc.user, "orthanc")
    assert sent["authorization"].startswith("Basic ")


def test_whom_orthanc_does_not_know_never_reaches_the_indexer(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    for auth in (None, (orthanc.user, "wrong")):
        assert (
            httpx.get(
                f"{orthanc.http_url}/cbir/api/status", auth=auth, trust_env=False, timeout=120
            ).status_code
            == 401
        )
    assert indexer.asked() == []


@pytest.mark.parametrize(
    "path",
    [
        "/cbir/internal/events",
        "/cbir/metrics",
        "/cbir/api/series",
        "/cbir/web/%2e%2e/internal/events",
        "/cbir/web/..%2finternal%2fevents",
        "/cbir/web%5c..%5cinternal%5cevents",
        "/cbir/api/status%00/../../internal/events",
        "/cbir//internal//events",
    ],
)
def test_no_other_route_of_the_indexer_is_reached_however_it_is_written(
    client: httpx.Client, indexer: RecordingIndexer, path: str
) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        client.request(method, httpx.URL(str(client.base_url) + path), headers=POST)
    assert {request.target for request in indexer.asked()} <= {"/api/status", "/"}


def test_an_upload_of_megabytes_arrives_as_it_was_sent(
    client: httpx.Client, indexer: RecordingIndexer
) -> None:
    body = os.urandom(8 * 2**20)
    for kind in ("application/dicom", 'multipart/related; type="application/dicom"; boundary=b'):
        headers = {**POST, "Content-Type": kind, "X-CBIR-Query": "limit=3"}
        answer = client.post("/cbir/api/search/upload", content=body, headers=headers)
        assert answer.status_code == 200
        received = indexer.asked()[-1]
        assert received.body == body
        assert received.headers["content-type"] == kind
        assert received.target == "/api/search/upload?limit=3"


@pytest.mark.parametrize("letter", ["é", "漢", "😀"])
def test_two_thousand_letters_of_any_script_arrive_beside_an_upload(
    client: httpx.Client, indexer: RecordingIndexer, letter: str
) -> None:
    text = b64encode((letter * 2000).encode()).decode()
    headers = {**POST, "Content-Type": "application/dicom", "X-CBIR-Text": text}
    assert client.post("/cbir/api/search/upload", content=b"x", headers=headers).status_code == 200
    received = indexer.asked()[-1]
    assert (received.headers["x-cbir-text"], received.target) == (text, "/api/search/upload")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422, 503])
def test_a_problem_of_the_indexer_arrives_as_it_was_said(
    client: httpx.Client, indexer: RecordingIndexer, status: int
) -> None:
    problem = {"title": "später", "status": status, "detail": "…", "reason": "not_indexed"}
    kind = {"Content-Type": "application/problem+json"}
    indexer.on_asking = lambda _: Canned(status, json.dumps(problem, ensure_ascii=False).encode(), kind)
    answer = client.post("/cbir/api/search", json={}, headers=POST)
    assert (answer.status_code, answer.json()) == (status, problem)
    assert answer.headers["content-type"] == _type_of_errors(client)


@pytest.mark.parametrize(("said", "heard"), [(429, 503), (401, 502), (500, 500), (507, 502), (302, 502)])
def test_what_orthanc_cannot_say_is_said_as_the_nearest_it_can(
    client: httpx.Client, indexer: RecordingIndexer, said: int, heard: int
) -> None:
    indexer.on_asking = lambda _: Canned(
        said, b'{"reason": "r"}', {"Content-Type": "application/problem+json"}
    )
    answer = client.post("/cbir/api/search", json={}, headers=POST)
    assert answer.status_code == heard


def test_an_indexer_that_is_down_is_a_problem_that_says_what_to_do(
    client: httpx.Client, indexer: RecordingIndexer
) -> None:
    indexer.stop()
    try:
        answer = client.get("/cbir/api/status")
    finally:
        indexer.start()
    assert answer.status_code == 503
    assert answer.headers["content-type"] == _type_of_errors(client)
    assert "cbir serve" in answer.json()["detail"]


def test_foreign_pages_forms_and_plain_posts_are_refused(
    client: httpx.Client, indexer: RecordingIndexer
) -> None:
    foreign = {**POST, "Origin": "https://evil.example"}
    assert client.post("/cbir/api/search", json={}, headers=foreign).status_code == 403
    assert client.get("/cbir/api/status", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/cbir/api/search", json={}).status_code == 403
    own = {**POST, "Origin": str(client.base_url).rstrip("/")}
    assert client.post("/cbir/api/search", json={}, headers=own).status_code == 200
    assert len(indexer.asked()) == 1


def test_a_form_whose_parts_pass_for_requests_never_reaches_the_indexer(
    client: httpx.Client, orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    """Orthanc hands over each part with the part's own headers, which a foreign page may write."""
    plain = b'--B\r\nContent-Disposition: form-data; name="a"\r\nX-CBIR-Request: 1\r\n\r\n{}\r\n--B--\r\n'
    forged = (
        b"--B\r\nHost: " + orthanc.http_url.removeprefix("http://").encode() + b"\r\nX-CBIR-Request: 1\r\n"
        b"Authorization: Basic cm9vdDpyb290\r\nContent-Type: application/json\r\n\r\n{}\r\n--B--\r\n"
    )
    for body in (plain, forged):
        kind = {"Content-Type": "multipart/form-data; boundary=B"}
        client.post("/cbir/api/search", content=body, headers=kind)
    time.sleep(0.3)
    assert indexer.asked() == []


def test_another_method_is_refused(client: httpx.Client) -> None:
    answer = client.get("/cbir/api/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_slow_question_holds_up_neither_other_questions_nor_orthanc(
    client: httpx.Client, orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    answers: list[int] = []

    def ask() -> None:
        with orthanc.client(SLOW_S) as own:
            answers.append(own.get("/cbir/api/studies").status_code)

    def slow(request: Received) -> Canned:
        if request.target == "/api/studies":
            blocked.wait(SLOW_S)
        return Canned()

    blocked = threading.Event()
    indexer.on_asking = slow
    asking = threading.Thread(target=ask)
    asking.start()
    eventually(indexer.asked)
    assert client.get("/cbir/api/status").status_code == 200
    assert client.get("/system").status_code == 200
    assert send(orthanc, small_series(2).instances) == [0, 0]
    assert answers == []
    blocked.set()
    asking.join()
    assert answers == [200]


def test_the_button_is_in_the_script_of_orthanc_explorer(client: httpx.Client) -> None:
    assert "Find similar cases" in client.get("/plugins/explorer.js").text


def _type_of_errors(client: httpx.Client) -> str:
    """From 1.12.2 on, Orthanc calls every error of a plugin text/plain."""
    version = tuple(int(part) for part in client.get("/system").json()["Version"].split("."))
    return "application/problem+json" if version < (1, 12, 2) else "text/plain"
