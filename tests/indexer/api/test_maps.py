"""Match maps and regions over HTTP: their shape, and that nobody sees what the archive would not show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.families import WrittenStudy
from indexer.api import ApiSettings
from indexer.domain import MatchMap
from indexer.ports import StoredInstance
from indexer.search.seen_frames import LARGEST_BYTES
from tests.fakes.archive import FakeArchive
from tests.fakes.encoder import TILES, FakeEncoder
from tests.fakes.house import LINKS, Furnished, served
from tests.indexer.conftest import Studies

SECRET = "a secret of the plugin"
ANNA = {"authorization": "Basic anna"}
FORWARDED = {"X-CBIR-Secret": SECRET, "X-CBIR-Forwarded": "orthanc", **ANNA}


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    app = house.app(ApiSettings(plugin_secret=SECRET, links=LINKS))
    with served(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def first_frame(client: httpx.Client, study: WrittenStudy) -> str:
    shown = client.get(f"/api/studies/{study.study_instance_uid}").json()
    return str(shown["series"][0]["frames"][0]["sop_instance_uid"])


def pair(client: httpx.Client, studies: Studies) -> dict[str, str | int]:
    one, other = studies.old("spine-mr")[:2]
    return {
        "example_sop_instance_uid": first_frame(client, one),
        "example_frame_number": 1,
        "sop_instance_uid": first_frame(client, other),
        "frame_number": 1,
    }


def assert_is_map(found: dict[str, Any]) -> None:
    assert found.keys() == {"rows", "columns", "values", "area"}
    assert (found["rows"], found["columns"]) == (TILES, TILES)
    assert [len(row) for row in found["values"]] == [TILES] * TILES
    values = [value for row in found["values"] for value in row]
    assert max(values) == 1
    assert min(values) >= 0
    assert all(value == round(value, 3) for value in values)
    assert found["area"] == {"left": 0, "top": 0, "width": 1, "height": 1}


@pytest.mark.parametrize("way", ["features", "occlusion"])
def test_two_frames_have_a_map_each(client: httpx.Client, studies: Studies, way: str) -> None:
    answer = client.get("/api/maps", params=pair(client, studies) | {"way": way})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"example", "match"}
    assert_is_map(answer.json()["example"])
    assert_is_map(answer.json()["match"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sop_instance_uid": "1.2.3"}, 404),
        ({"frame_number": 99}, 404),
        ({"frame_number": 0}, 422),
        ({"way": "guess"}, 422),
        ({"example_sop_instance_uid": "../etc"}, 422),
    ],
)
def test_what_is_not_there_and_what_is_no_question_is_refused(
    client: httpx.Client, studies: Studies, change: dict[str, str | int], status: int
) -> None:
    answer = client.get("/api/maps", params=pair(client, studies) | change)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_example_is_fetched_and_looked_at_once_for_all_its_matches(
    house: Furnished, client: httpx.Client, studies: Studies
) -> None:
    """As the page asks: for many matches at the same time."""
    example, *others = studies.old("spine-mr")[:4]
    frames = {study.study_instance_uid: first_frame(client, study) for study in (example, *others)}
    asked = [
        {"example_sop_instance_uid": frames[example.study_instance_uid], "sop_instance_uid": frames[uid]}
        for uid in (study.study_instance_uid for study in others)
    ]
    house.archive.fetched.clear()
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(lambda params: client.get("/api/maps", params=params), asked))
    assert [answer.status_code for answer in answers] == [200] * len(asked)
    instance = house.archive.find_instance(frames[example.study_instance_uid])
    assert house.archive.fetched.count(instance.archive_id) == 1
    assert len(house.archive.fetched) == 1 + len(others)
    again = client.get("/api/maps", params=asked[0])
    assert again.json() == answers[0].json()
    assert len(house.archive.fetched) == 1 + len(others)


def test_what_is_kept_is_shown_to_nobody_who_may_not_see_it(client: httpx.Client, studies: Studies) -> None:
    asked = pair(client, studies)
    assert client.get("/api/maps", params=asked).status_code == 200
    assert client.get("/api/maps", params=asked, headers=FORWARDED).status_code == 404


def test_a_frame_of_a_very_large_instance_has_no_map(
    house: Furnished, client: httpx.Client, studies: Studies
) -> None:
    class Vast(FakeArchive):
        def find_instance(self, sop_instance_uid: str) -> StoredInstance:
            return replace(super().find_instance(sop_instance_uid), size_bytes=LARGEST_BYTES + 1)

    asked = pair(client, studies)
    vast = Vast()
    for path in house.stored:
        vast.store(path)
    house.archive = vast
    with served(house.app(ApiSettings(links=LINKS))) as url, httpx.Client(base_url=url, timeout=60) as other:
        for way in ("features", "occlusion"):
            answer = other.get("/api/maps", params=asked | {"way": way})
            assert answer.status_code == 413, answer.text
    assert vast.fetched == []


def test_one_slow_map_at_a_time_and_the_quick_ones_beside_it(house: Furnished, studies: Studies) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(FakeEncoder):
        def occlusion_maps(
            self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
        ) -> tuple[MatchMap, MatchMap]:
            inside.set()
            go_on.wait(120)
            return super().occlusion_maps(instances, frame_numbers)

    house.encoder = Slow()
    settings = ApiSettings(links=LINKS, max_renderings=1)
    with (
        served(house.app(settings)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = pair(client, studies)
        slow = asked | {"way": "occlusion"}
        first = threads.submit(client.get, "/api/maps", params=slow)
        try:
            assert inside.wait(60)
            assert client.get("/api/maps", params=slow).status_code == 429
            assert client.get("/api/maps", params=asked).status_code == 200
        finally:
            go_on.set()
        assert first.result().status_code == 200


def test_both_frames_must_be_visible_to_the_caller(
    house: Furnished, client: httpx.Client, studies: Studies
) -> None:
    asked = pair(client, studies)
    assert client.get("/api/maps", params=asked, headers=FORWARDED).status_code == 404
    shown = house.archive.find_instance(str(asked["example_sop_instance_uid"])).series_archive_id
    house.archive.show(shown, ANNA)
    assert client.get("/api/maps", params=asked, headers=FORWARDED).status_code == 404
    shown = house.archive.find_instance(str(asked["sop_instance_uid"])).series_archive_id
    house.archive.show(shown, ANNA)
    assert client.get("/api/maps", params=asked, headers=FORWARDED).status_code == 200


def test_an_upload_gets_the_maps_of_its_matches_where_it_asks_for_them(
    client: httpx.Client, studies: Studies
) -> None:
    def uploaded(**query: bool | int) -> list[dict[str, Any]]:
        answer = client.post(
            "/api/search/upload",
            params=query,
            content=studies.new("spine-mr").paths[0].read_bytes(),
            headers={"Content-Type": "application/dicom"},
        )
        assert answer.status_code == 200, answer.text
        matches: list[dict[str, Any]] = answer.json()["matches"]
        return matches

    assert all(match["maps"] is None for match in uploaded())
    with_maps = uploaded(maps=True, limit=5)
    assert len(with_maps) == 5
    for match in with_maps:
        assert_is_map(match["maps"]["example"])
        assert_is_map(match["maps"]["match"])


def test_a_region_is_asked_about_and_found_in_each_match(client: httpx.Client, studies: Studies) -> None:
    example = studies.old("abdomen-ct")[0]
    region: dict[str, Any] = {"sop_instance_uid": first_frame(client, example), "frame_number": 1}
    region |= {"left": 0.5, "top": 0.25, "width": 0.25, "height": 0.25}
    about = {"study_instance_uid": example.study_instance_uid}
    answer = client.post("/api/search", json={"example": about, "region": region}).json()
    assert answer["query"]["region"] == region
    first = answer["matches"][0]
    assert first["study_instance_uid"] in {s.study_instance_uid for s in studies.old("abdomen-ct")}
    assert first["percent"] is None
    place = first["place"]
    assert place["left"] == pytest.approx(0.5, abs=0.2)
    assert place["top"] == pytest.approx(0.25, abs=0.2)
    assert place["left"] + place["width"] <= 1 + 1e-6
    whole = client.post("/api/search", json={"example": about}).json()
    assert all(match["place"] is None for match in whole["matches"])


def test_an_upload_is_asked_about_by_region_in_the_query(client: httpx.Client, studies: Studies) -> None:
    path = studies.new("spine-mr").paths[0]

    def uploaded(**query: str) -> httpx.Response:
        return client.post(
            "/api/search/upload",
            params=query,
            content=path.read_bytes(),
            headers={"Content-Type": "application/dicom"},
        )

    uid = uploaded().json()["query"]["series"][0]["key_frame"]["sop_instance_uid"]
    answer = uploaded(region=f"{uid},1,0.25,0.25,0.5,0.5")
    assert answer.status_code == 200, answer.text
    assert all(match["place"] is not None for match in answer.json()["matches"])
    assert uploaded(region="1.2.3,1,0.25,0.25,0.5,0.5").status_code == 404
    assert uploaded(region=f"{uid},1,0.25,0.25,0.9,0.5").status_code == 422
