"""Match maps and regions over HTTP: their shape, and that nobody sees what the archive would not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from demo.families import WrittenStudy
from indexer.api import ApiSettings
from tests.fakes.encoder import TILES
from tests.fakes.house import LINKS, Furnished, served
from tests.indexer.conftest import Studies

SECRET = "a secret of the plugin"
ANNA = {"authorization": "Basic anna"}
FORWARDED = {"X-CBIR-Secret": SECRET, "X-CBIR-Forwarded": "orthanc", **ANNA}


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    app = house.app(ApiSettings(plugin_secret=SECRET, links=LINKS))
    with served(app) as url, httpx.Client(base_url=url, timeout=20) as client:
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
