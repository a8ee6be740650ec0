"""Who may come in: the token, the plugin's secret, those it forwards, hosts and origins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cbir_delivery import REFUSED_FOR_GOOD

from indexer.api import ApiSettings
from indexer.api.door import HEADERS
from tests.fakes.house import LINKS, Furnished, served
from tests.indexer.api.asking import about, asked, listed, picture_path, problem, raw, studies_of
from tests.indexer.conftest import Studies

SECRET = "plugin-secret"
TOKEN = "token-of-the-administrator"
ANNA = {"authorization": "Basic YW5uYTphbm5h"}
FORWARDED = {"X-CBIR-Secret": SECRET, "X-CBIR-Forwarded": "orthanc", "X-CBIR-User": "anna", **ANNA}
EVENTS = {
    "events": [
        {"sequence": 1, "change": "stable", "orthanc_id": "a", "observed_at": "2026-01-31T10:00:00Z"},
        {"sequence": 2, "change": "deleted", "orthanc_id": "b", "observed_at": "2026-01-31T10:00:01Z"},
    ]
}


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    with asked(house, api_token=TOKEN, plugin_secret=SECRET) as client:
        yield client


def archive_ids(house: Furnished, study_instance_uid: str) -> list[str]:
    return [reference.archive_id for reference in house.archive.series_of_study(study_instance_uid)]


def let_anna_see(house: Furnished, *study_instance_uids: str) -> None:
    for uid in study_instance_uids:
        for archive_id in archive_ids(house, uid):
            house.archive.show(archive_id, ANNA)


# The token


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x"]
)
def test_without_the_token_nothing_is_told(client: httpx.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/api/status", "/api/series", "/api/studies", "/metrics", "/readyz", "/openapi.json"):
        answer = client.get(path, headers=headers)
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    problem(client.post("/api/search", json={}, headers=headers), 401)
    problem(client.post("/api/search/upload", content=b"", headers=headers), 401)


def test_with_the_token_everything_is_offered(client: httpx.Client, studies: Studies) -> None:
    client.headers["Authorization"] = f"bearer {TOKEN}"
    for path in ("/api/status", "/api/series", "/api/studies", "/metrics", "/readyz", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert studies_of(client.post("/api/search", json=about(studies.old("chest-cr")[0])))


def test_the_page_and_the_sign_of_life_need_no_token(client: httpx.Client) -> None:
    for path in ("/", "/web/page.js", "/web/tokens.css", "/docs", "/healthz", "/favicon.ico"):
        assert client.get(path).status_code == 200


# The plugin


def test_hints_are_taken_from_the_plugin(client: httpx.Client, house: Furnished) -> None:
    answer = client.post("/internal/events", json=EVENTS, headers={"X-CBIR-Secret": SECRET})
    assert answer.json() == {"accepted": 2}
    assert [(event.change, event.orthanc_id) for event in house.heard] == [("stable", "a"), ("deleted", "b")]


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-CBIR-Secret": "wrong"}, {"X-CBIR-Secret": ""}, {"Authorization": f"Bearer {TOKEN}"}],
)
def test_hints_of_anybody_else_are_401(
    client: httpx.Client, house: Furnished, headers: dict[str, str]
) -> None:
    problem(client.post("/internal/events", json=EVENTS, headers=headers), 401)
    assert not house.heard


def test_without_a_configured_secret_there_is_no_plugin(house: Furnished) -> None:
    with asked(house) as client:
        for secret in ("", "x"):
            headers = {"X-CBIR-Secret": secret}
            problem(client.post("/internal/events", json=EVENTS, headers=headers), 401)
            problem(client.get("/api/status", headers={**FORWARDED, **headers}), 401)


def test_the_secret_alone_opens_nothing_else(client: httpx.Client) -> None:
    problem(client.get("/api/series", headers={"X-CBIR-Secret": SECRET}), 403)


def test_hints_that_are_none_are_422(client: httpx.Client) -> None:
    answer = client.post("/internal/events", json={"events": [{}]}, headers={"X-CBIR-Secret": SECRET})
    problem(answer, 422)


def test_hints_that_nobody_follows_are_kept_by_the_plugin_and_the_setting_is_named(house: Furnished) -> None:
    app = house.app(ApiSettings(links=LINKS, plugin_secret=SECRET))
    app.state.house = replace(app.state.house, events=None)
    with served(app) as url:
        headers = {"X-CBIR-Secret": SECRET}
        answer = httpx.post(f"{url}/internal/events", json=EVENTS, headers=headers, timeout=60)
    document = problem(answer, 503)
    assert document["reason"] == "not_following"
    assert "CBIR_FOLDER" in document["detail"]
    assert answer.status_code not in REFUSED_FOR_GOOD


# Those it forwards


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_wrong_secret_is_401_whatever_is_asked(client: httpx.Client, secret: str) -> None:
    headers = {**FORWARDED, "X-CBIR-Secret": secret}
    problem(client.get("/api/status", headers=headers), 401)
    problem(client.get("/api/status", headers={"X-CBIR-Forwarded": "orthanc"}), 401)


def test_a_forwarded_caller_is_shown_what_the_archive_would_show(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    example, shown, hidden = (study.study_instance_uid for study in studies.old("chest-cr"))
    let_anna_see(house, example, shown)
    headers = {**FORWARDED, "X-CBIR-Request": "1"}
    question = {"example": {"study_instance_uid": example}}
    assert studies_of(client.post("/api/search", json=question, headers=headers)) == [shown]
    client.headers.update(FORWARDED)
    assert set(listed(client)) == {example, shown}
    assert client.get(f"/api/studies/{shown}").status_code == 200
    problem(client.get(f"/api/studies/{hidden}"), 404)
    unseen = {"example": {"study_instance_uid": hidden}}
    problem(client.post("/api/search", json=unseen, headers=headers), 404)


def test_a_forwarded_caller_may_ask_with_an_upload(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    shown = studies.old("chest-cr")[0].study_instance_uid
    let_anna_see(house, shown)
    client.headers.update({**FORWARDED, "X-CBIR-Request": "1"})
    assert studies_of(raw(client, studies.new("chest-cr"))) == [shown]


def test_pages_of_a_caller_who_sees_little_are_filled_from_later_ones(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    last = listed(client)[-1]
    let_anna_see(house, last)
    client.headers.update(FORWARDED)
    page = client.get("/api/studies?limit=2").json()
    assert [study["study_instance_uid"] for study in page["studies"]] == [last]


def test_of_a_study_only_the_series_that_may_be_seen_are_told(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    study = studies.old("brain-mr")[0]
    shown, _ = archive_ids(house, study.study_instance_uid)
    house.archive.show(shown, ANNA)
    client.headers.update(FORWARDED)
    (row,) = client.get("/api/studies").json()["studies"]
    assert row["series"] == 1
    (series,) = client.get(f"/api/studies/{study.study_instance_uid}").json()["series"]
    assert series["orthanc_id"] == shown


def test_a_picture_is_shown_to_who_may_see_it_and_to_nobody_else_afterwards(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    study = studies.old("chest-cr")[0]
    let_anna_see(house, study.study_instance_uid)
    path = picture_path(_with(client, FORWARDED), study)
    picture = client.get(path, headers=FORWARDED)
    assert picture.status_code == 200
    bert = {**FORWARDED, "authorization": "Basic YmVydDpiZXJ0"}
    problem(client.get(path, headers=bert), 404)
    problem(client.get(path, headers={**bert, "If-None-Match": picture.headers["etag"]}), 404)
    nobody = {name: value for name, value in FORWARDED.items() if name != "authorization"}
    problem(_without_authorization(client, path, nobody), 404)


def _with(client: httpx.Client, headers: dict[str, str]) -> httpx.Client:
    client.headers.update(headers)
    return client


def _without_authorization(client: httpx.Client, path: str, headers: dict[str, str]) -> httpx.Response:
    with httpx.Client(base_url=client.base_url, timeout=60) as other:
        return other.get(path, headers=headers)


def test_of_two_patients_who_share_uids_the_one_she_may_not_see_stays_hidden(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    study = studies.old("chest-cr")[0]
    let_anna_see(house, study.study_instance_uid)
    path = picture_path(_with(client, FORWARDED), study)
    series = house.archive.series_of_study(study.study_instance_uid)[0]
    house.archive.put(
        patient="another",
        study=series.study_instance_uid,
        series=series.series_instance_uid,
        sop="1.2.3",
    )
    assert client.get(path).status_code == 200
    problem(client.get("/api/instances/1.2.3/frames/1/rendered"), 404)


@pytest.mark.parametrize(
    "path",
    ["/api/series", "/metrics", "/readyz", "/healthz", "/docs", "/openapi.json", "/web/../api/series"],
)
def test_only_asking_routes_are_forwarded(client: httpx.Client, path: str) -> None:
    problem(client.get(path, headers=FORWARDED), 403)


def test_hints_are_not_forwarded(client: httpx.Client, house: Furnished) -> None:
    headers = {**FORWARDED, "X-CBIR-Request": "1"}
    problem(client.post("/internal/events", json=EVENTS, headers=headers), 403)
    assert not house.heard


def test_a_forwarded_question_needs_the_header_that_forms_cannot_send(
    client: httpx.Client, studies: Studies
) -> None:
    question = about(studies.old("chest-cr")[0])
    problem(client.post("/api/search", json=question, headers=FORWARDED), 403)


def test_the_page_is_forwarded(client: httpx.Client) -> None:
    for path in ("/", "/web/page.js", "/api/status"):
        assert client.get(path, headers=FORWARDED).status_code == 200


# Other sites


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_a_foreign_origin_may_not_ask(house: Furnished, studies: Studies, origin: str) -> None:
    with asked(house) as client:
        headers = {"Origin": origin}
        answer = client.post("/api/search", json=about(studies.old("chest-cr")[0]), headers=headers)
        assert problem(answer, 403)["reason"] == "foreign_origin"
        problem(client.post("/api/search/upload", content=b"", headers=headers), 403)


def test_the_own_origin_may_ask(house: Furnished, studies: Studies) -> None:
    with asked(house) as client:
        headers = {"Origin": f"http://{client.base_url.host}:{client.base_url.port}"}
        answer = client.post("/api/search", json=about(studies.old("chest-cr")[0]), headers=headers)
        assert studies_of(answer)


def test_another_site_may_not_embed_pictures(house: Furnished, studies: Studies) -> None:
    with asked(house) as client:
        path = picture_path(client, studies.old("chest-cr")[0])
        assert client.get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
        problem(client.get(path, headers={"Sec-Fetch-Site": "cross-site"}), 403)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_name_that_somebody_else_gave_our_address_is_refused(house: Furnished, host: str) -> None:
    with asked(house, allowed_hosts=("127.0.0.1", "::1", "localhost")) as client:
        problem(client.get("/api/status", headers={"Host": host}), 403)
        problem(client.get("/", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8090", "[::1]:8090", "LOCALHOST"])
def test_our_own_names_are_good(house: Furnished, host: str) -> None:
    with asked(house, allowed_hosts=("127.0.0.1", "::1", "localhost")) as client:
        assert client.get("/api/status", headers={"Host": host}).status_code == 200


def test_every_answer_has_the_security_headers(client: httpx.Client) -> None:
    for answer in (
        client.get("/"),
        client.get("/api/status"),
        client.get("/web/nothing"),
        client.get("/docs"),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert client.get("/api/status").headers["cache-control"] == "no-store"


def test_the_page_refers_to_nothing_outside_its_own_folder() -> None:
    web = Path(__file__).parents[3] / "indexer" / "web"
    for path in web.iterdir():
        text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        for absolute in ('href="/', 'src="/', '"/api', "'/api", "`/api", "url(/", 'from "/'):
            assert absolute not in text, path
