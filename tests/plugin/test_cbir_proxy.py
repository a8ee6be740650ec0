from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cbir_indexer import Indexer
from cbir_proxy import Proxy, Reply, Request, normalised
from cbir_settings import Settings, Users
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fakes.indexer import Canned, RecordingIndexer

ALICE = "Basic " + base64.b64encode("alice:pässword".encode()).decode()
LOGGED_IN = {"authorization": ALICE, "host": "pacs.example.org:8042"}
ASKING = {**LOGGED_IN, "x-cbir-request": "1", "content-type": "application/json"}
USERS = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "pässword", "bob": "b"}}


@pytest.fixture
def indexer() -> Iterator[RecordingIndexer]:
    with RecordingIndexer() as running:
        yield running


@pytest.fixture
def proxy(indexer: RecordingIndexer) -> Proxy:
    settings = Settings(
        indexer_url=indexer.url, secret=indexer.secret, outbox_path=Path("unused"), timeout_s=60
    )
    return Proxy(settings, Users.of(USERS), Indexer(indexer.url, indexer.secret, 2**20))


def _reason(reply: Reply) -> str:
    return str(json.loads(reply.body)["reason"])


@pytest.mark.parametrize(
    ("method", "path", "forwarded"),
    [
        ("GET", "/cbir", "/"),
        ("GET", "/cbir/", "/"),
        ("GET", "/cbir/web/page.js", "/web/page.js"),
        ("GET", "/cbir/api/status/", "/api/status"),
        ("GET", "/cbir/api/studies", "/api/studies"),
        ("GET", "/cbir/api/studies/1.2.3", "/api/studies/1.2.3"),
        ("GET", "/cbir/api/instances/1.2.3/frames/7/rendered", "/api/instances/1.2.3/frames/7/rendered"),
        ("GET", "/cbir/api/maps", "/api/maps"),
        ("GET", "/cbir/api/destinations", "/api/destinations"),
        ("POST", "/cbir/api/send", "/api/send"),
        ("GET", f"/cbir/api/sendings/{'0af9' * 8}", f"/api/sendings/{'0af9' * 8}"),
        ("POST", "/cbir/api/search", "/api/search"),
        ("POST", "/cbir/api/search/upload", "/api/search/upload"),
    ],
)
def test_the_asking_routes_are_forwarded(
    proxy: Proxy, indexer: RecordingIndexer, method: str, path: str, forwarded: str
) -> None:
    reply = proxy.answer(Request(method, path, headers=ASKING, body=b"{}"))
    assert reply.status == 200
    assert [(r.method, r.target) for r in indexer.asked()] == [(method, forwarded)]


@pytest.mark.parametrize(
    "path",
    [
        "/cbir/internal/events",
        "/cbir/metrics",
        "/cbir/docs",
        "/cbir/openapi.json",
        "/cbir/healthz",
        "/cbir/api/series",
        "/cbir/api",
        "/cbir/api/studies/1.2/delete",
        "/cbir/api/studies/abc",
        "/cbir/api/instances/1.2/frames/0x1/rendered",
        "/cbir/web",
        "/cbir/web/.hidden",
        "/cbir/web/a/b",
        "/cbir/api/status\n",
        "/cbirapi/status",
        "/cbir//api/status",
        "/cbir/api//status",
        "/cbir/web/../internal/events",
        "/cbir/./api/status",
        "/cbir/web/%2e%2e/internal/events",
        "/cbir/web%2fpage.js",
        "/cbir/web\\page.js",
        "/cbir/web/page.js\0",
        "/cbir/api/studies/\u0661.\u0662",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_reaches_the_indexer(
    proxy: Proxy, indexer: RecordingIndexer, method: str, path: str
) -> None:
    reply = proxy.answer(Request(method, path, headers=ASKING))
    assert reply.status in (400, 404)
    assert indexer.received == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/cbir/api/search"), ("DELETE", "/cbir/api/status")])
def test_another_method_is_answered_with_those_allowed(
    proxy: Proxy, indexer: RecordingIndexer, method: str, path: str
) -> None:
    reply = proxy.answer(Request(method, path, headers=ASKING))
    assert reply.status == 405
    assert reply.headers["Allow"] in ("GET", "POST")
    assert indexer.received == []


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@example("/cbir/%2e%2e/internal/events")
@example("/cbir/..")
@example("/cbir/web/..%5c")
@example("/cbir/api/search//")
def test_a_normalised_path_means_one_thing_only(path: str) -> None:
    below = normalised(path)
    if below is None:
        return
    assert below.startswith("/")
    assert re.fullmatch(r"[A-Za-z0-9_.~/-]+", below)
    assert not any(segment in (".", "..") for segment in below.split("/"))
    assert "//" not in below
    assert normalised("/cbir" + below) == below


_segments = st.sampled_from(
    [
        "api",
        "web",
        "internal",
        "events",
        "search",
        "upload",
        "status",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2f",
        "1.2",
        "\\",
    ]
)


@given(st.lists(_segments, max_size=6), st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_however_segments_are_put_together_internal_routes_stay_out_of_reach(
    segments: list[str], method: str
) -> None:
    settings = Settings(indexer_url="http://127.0.0.1:9", secret="s", outbox_path=Path("unused"), timeout_s=1)
    reached: list[str] = []

    class Remembering(Indexer):
        def ask(self, method: str, target: str, *_: object, **__: object) -> object:  # type: ignore[override]
            reached.append(target)
            raise AssertionError

    proxy = Proxy(settings, Users.of(USERS), Remembering("http://127.0.0.1:9", "s", 1))
    path = "/cbir/" + "/".join(segments)
    try:
        proxy.answer(Request(method, path, headers=ASKING, body=b""))
    except AssertionError:
        assert reached[0] in ("/", "/api/status", "/api/search", "/api/search/upload") or re.fullmatch(
            r"/web/[a-z0-9.]+", reached[0]
        )
        assert ".." not in reached[0]


def test_the_caller_is_named_and_brings_his_credentials(proxy: Proxy, indexer: RecordingIndexer) -> None:
    credentials = {"cookie": "a=b; c=d", "token": "t1", "auth-token": "t2", "api-token": "t3"}
    proxy.answer(Request("GET", "/cbir/api/status", headers={**LOGGED_IN, **credentials}))
    sent = indexer.asked()[0].headers
    assert sent["x-cbir-user"] == "alice"
    assert sent["x-cbir-forwarded"] == "orthanc"
    assert sent["x-cbir-secret"] == indexer.secret
    assert {name: sent[name] for name in credentials} == credentials
    assert sent["authorization"] == ALICE


def test_headers_of_the_caller_cannot_pass_for_ours(proxy: Proxy, indexer: RecordingIndexer) -> None:
    forged = {"x-cbir-user": "root", "x-cbir-secret": "guess", "x-forwarded-for": "1.2.3.4", "x-other": "y"}
    proxy.answer(Request("GET", "/cbir/api/status", headers={**LOGGED_IN, **forged}))
    sent = indexer.asked()[0].headers
    assert (sent["x-cbir-user"], sent["x-cbir-secret"]) == ("alice", indexer.secret)
    assert not {"x-forwarded-for", "x-other", "host-override"} & sent.keys()


def test_a_name_without_its_password_is_not_believed(proxy: Proxy, indexer: RecordingIndexer) -> None:
    for authorization in ("", "Basic " + base64.b64encode(b"alice:wrong").decode(), "Bearer x"):
        reply = proxy.answer(
            Request("GET", "/cbir/api/status", headers={**LOGGED_IN, "authorization": authorization})
        )
        assert (reply.status, _reason(reply)) == (403, "unknown_caller")
    assert indexer.received == []


def test_where_orthanc_asks_for_no_password_the_caller_has_no_name(
    proxy: Proxy, indexer: RecordingIndexer
) -> None:
    open_door = replace(proxy, users=Users.of({**USERS, "AuthenticationEnabled": False}))
    assert open_door.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN)).status == 200
    assert indexer.asked()[0].headers["x-cbir-user"] == ""


def test_a_name_that_is_not_ascii_travels_percent_encoded(proxy: Proxy, indexer: RecordingIndexer) -> None:
    users = Users.of({"AuthenticationEnabled": True, "RegisteredUsers": {"Zoë %": "p"}})
    authorization = "Basic " + base64.b64encode("Zoë %:p".encode()).decode()
    replace(proxy, users=users).answer(
        Request("GET", "/cbir/api/status", headers={"authorization": authorization})
    )
    assert indexer.asked()[0].headers["x-cbir-user"] == "Zo%C3%AB %25"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://pacs.example.org"},
        {"origin": "http://pacs.example.org:8042.evil.example"},
        {"origin": "http://pacs.example.org:8042@evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/cbir/api/search"), ("GET", "/cbir/api/studies")])
def test_another_sites_page_is_refused(
    proxy: Proxy, indexer: RecordingIndexer, headers: dict[str, str], method: str, path: str
) -> None:
    reply = proxy.answer(Request(method, path, headers={**ASKING, **headers}, body=b"{}"))
    assert (reply.status, _reason(reply)) == (403, "foreign_origin")
    assert indexer.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://pacs.example.org:8042", "sec-fetch-site": "same-origin"},
        {"origin": "https://PACS.example.org:8042"},
        {"origin": "https://portal.example.org", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_the_own_page_and_listed_sites_may_ask(proxy: Proxy, headers: dict[str, str]) -> None:
    listed = replace(proxy, settings=replace(proxy.settings, origins=("https://portal.example.org",)))
    reply = listed.answer(Request("POST", "/cbir/api/search", headers={**ASKING, **headers}, body=b"{}"))
    assert reply.status == 200


def test_a_link_from_elsewhere_may_open_the_page(proxy: Proxy) -> None:
    followed = {**LOGGED_IN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert proxy.answer(Request("GET", "/cbir/", headers=followed)).status == 200
    embedded = {**followed, "sec-fetch-mode": "no-cors"}
    assert proxy.answer(Request("GET", "/cbir/", headers=embedded)).status == 403


def test_a_post_needs_the_header_that_a_form_cannot_send(proxy: Proxy, indexer: RecordingIndexer) -> None:
    reply = proxy.answer(Request("POST", "/cbir/api/search", headers=LOGGED_IN, body=b"{}"))
    assert (reply.status, _reason(reply)) == (403, "header_missing")
    assert indexer.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "Multipart/Form-Data; boundary=x"},
        {"content-type": "application/octet-stream", "content-disposition": 'form-data; name="a"'},
    ],
)
def test_a_form_is_answered_with_how_to_send_it(
    proxy: Proxy, indexer: RecordingIndexer, headers: dict[str, str]
) -> None:
    reply = proxy.answer(Request("POST", "/cbir/api/search/upload", headers={**ASKING, **headers}, body=b"x"))
    assert reply.status == 415
    assert "raw body" in json.loads(reply.body)["detail"]
    assert indexer.received == []


def test_an_upload_above_the_limit_is_not_forwarded(proxy: Proxy, indexer: RecordingIndexer) -> None:
    small = replace(proxy, settings=replace(proxy.settings, max_upload_bytes=1000))
    reply = small.answer(Request("POST", "/cbir/api/search/upload", headers=ASKING, body=b"x" * 1001))
    assert reply.status == 413
    assert indexer.received == []


def test_a_query_is_encoded_again(proxy: Proxy, indexer: RecordingIndexer) -> None:
    """Orthanc 1.10.1 hands the values over as they were sent, 1.13 decoded."""
    for query in (
        {"modality": "MR%26limit%3D9", "text": "%C3%A4+b", "empty": ""},
        {"modality": "MR&limit=9", "text": "ä b", "empty": ""},
    ):
        proxy.answer(Request("GET", "/cbir/api/studies", query=query, headers=LOGGED_IN))
        assert indexer.asked()[-1].target == "/api/studies?modality=MR%26limit%3D9&text=%C3%A4+b&empty="


def test_the_query_as_it_is_meant_travels_in_a_header(proxy: Proxy, indexer: RecordingIndexer) -> None:
    headers = {**ASKING, "x-cbir-query": "limit=3&modality=MR&modality=CT&x=a%20b"}
    proxy.answer(Request("POST", "/cbir/api/search/upload", headers=headers, body=b"x"))
    proxy.answer(Request("GET", "/cbir/api/studies", query={"modality": "CT"}, headers=headers))
    assert indexer.asked()[1].target == "/api/studies?limit=3&modality=MR&modality=CT&x=a+b"
    assert indexer.asked()[0].target == "/api/search/upload?limit=3&modality=MR&modality=CT&x=a+b"
    long = {**ASKING, "x-cbir-query": "a=" + "b" * 10_000}
    assert proxy.answer(Request("POST", "/cbir/api/search/upload", headers=long, body=b"x")).status == 400


def test_the_words_beside_an_upload_travel_in_a_header(proxy: Proxy, indexer: RecordingIndexer) -> None:
    path = "/cbir/api/search/upload"
    proxy.answer(Request("POST", path, headers={**ASKING, "x-cbir-text": "Z2F1Y2hl"}, body=b"x"))
    assert indexer.asked()[-1].headers["x-cbir-text"] == "Z2F1Y2hl"
    for text in ("gauche", "Z2F1Y2hl" * 2000, "Z2F1 Y2hl", "Z2F1\r\nX-CBIR-User: root"):
        answer = proxy.answer(Request("POST", path, headers={**ASKING, "x-cbir-text": text}, body=b"x"))
        assert (answer.status, len(indexer.asked())) == ((200, 2) if text == "gauche" else (400, 2))


def test_body_content_type_and_safe_headers_come_back_and_no_others(
    proxy: Proxy, indexer: RecordingIndexer
) -> None:
    headers = {
        "Content-Type": "image/png",
        "Content-Security-Policy": "default-src 'self'",
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": "inline",
        "X-CBIR-Notice": "Not for diagnosis",
        "X-CBIR-Outcome": "refused; reason=blank_frame",
        "Set-Cookie": "a=b",
        "X-Powered-By": "x",
    }
    picture = bytes(range(256))
    indexer.on_asking = lambda _: Canned(200, picture, headers)
    reply = proxy.answer(Request("GET", "/cbir/web/x.png", headers=LOGGED_IN))
    assert (reply.status, reply.content_type, reply.body) == (200, "image/png", picture)
    assert set(reply.headers) == {
        "Content-Security-Policy",
        "Cache-Control",
        "X-Content-Type-Options",
        "Content-Disposition",
        "X-CBIR-Notice",
        "X-CBIR-Outcome",
    }
    assert reply.headers["X-CBIR-Outcome"] == "refused; reason=blank_frame"


def test_what_goes_on_is_said_as_200_because_orthanc_cannot_say_202(
    proxy: Proxy, indexer: RecordingIndexer
) -> None:
    indexer.on_asking = lambda _: Canned(202, b'{"state": "sending"}', {"Content-Type": "application/json"})
    reply = proxy.answer(Request("POST", "/cbir/api/send", headers=ASKING, body=b"{}"))
    assert (reply.status, reply.body) == (200, b'{"state": "sending"}')


def test_a_problem_of_the_indexer_comes_back_as_it_is(proxy: Proxy, indexer: RecordingIndexer) -> None:
    problem = json.dumps({"status": 409, "reason": "not_indexed", "detail": "später"}).encode()
    indexer.on_asking = lambda _: Canned(409, problem, {"Content-Type": "application/problem+json"})
    reply = proxy.answer(Request("POST", "/cbir/api/search", headers=ASKING, body=b"{}"))
    assert (reply.status, reply.content_type, reply.body) == (409, "application/problem+json", problem)


def test_too_many_questions_is_said_as_503_because_orthanc_cannot_say_429(
    proxy: Proxy, indexer: RecordingIndexer
) -> None:
    problem = json.dumps({"status": 429, "reason": "overloaded"}).encode()
    indexer.on_asking = lambda _: Canned(429, problem, {"Retry-After": "3"})
    reply = proxy.answer(Request("POST", "/cbir/api/search", headers=ASKING, body=b"{}"))
    document = json.loads(reply.body)
    assert reply.status == document["status"] == 503
    assert (document["indexer_status"], document["reason"]) == (429, "overloaded")
    assert reply.headers["Retry-After"] == "3"


@pytest.mark.parametrize("answer", [Canned(302, b"", {"Location": "http://evil"}), Canned(418, b"\xff\xfe")])
def test_an_unexpected_answer_is_a_bad_gateway(
    proxy: Proxy, indexer: RecordingIndexer, answer: Canned
) -> None:
    indexer.on_asking = lambda _: answer
    reply = proxy.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN))
    assert reply.status == 502
    assert "Location" not in reply.headers


def test_a_wrong_secret_is_told_to_an_administrator(proxy: Proxy, indexer: RecordingIndexer) -> None:
    indexer.secret = "changed"
    reply = proxy.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN))
    assert reply.status == 502
    assert "CBIR_PLUGIN_SECRET" in json.loads(reply.body)["detail"]


def test_an_indexer_that_is_down_or_says_too_much_is_503(proxy: Proxy, indexer: RecordingIndexer) -> None:
    indexer.on_asking = lambda _: Canned(200, b"x" * (2**20 + 1))
    assert proxy.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN)).status == 503
    indexer.stop()
    reply = proxy.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN))
    assert (reply.status, _reason(reply)) == (503, "indexer_unavailable")
    assert "cbir serve" in json.loads(reply.body)["detail"]


def test_a_silent_indexer_is_given_up_after_the_timeout(proxy: Proxy, indexer: RecordingIndexer) -> None:
    impatient = replace(proxy, settings=replace(proxy.settings, timeout_s=0.2))
    indexer.hold()
    assert impatient.answer(Request("GET", "/cbir/api/status", headers=LOGGED_IN)).status == 503
