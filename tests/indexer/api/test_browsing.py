"""The API lists what is indexed and how far it is."""

from __future__ import annotations

from typing import Any

import httpx

from indexer.ledger import Failed
from tests.fakes.house import Furnished, by_series
from tests.indexer.api.asking import asked, listed, uids
from tests.indexer.conftest import Studies


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
