"""POST /api/send: chosen cases go to configured destinations, and only those that the caller may see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from demo.families import WrittenStudy
from indexer.api import ApiSettings
from indexer.api.underway import UNFINISHED
from indexer.collecting import Deidentify, Policy, Sending, Shipping
from indexer.collecting.patients import IndexedLibrary
from indexer.destinations import Destination
from tests.fakes.collected import PSEUDONYMS
from tests.fakes.encoder import VERSION
from tests.fakes.house import LINKS, Furnished, served
from tests.fakes.library import FakeCarrier, FakeLibrary
from tests.fakes.workstation import wait_until
from tests.indexer.conftest import Studies

SECRET = "the plugin's secret"
ANNA = {"authorization": "Basic anna"}
FORWARDED = {"X-CBIR-Secret": SECRET, "X-CBIR-Forwarded": "orthanc", "X-CBIR-Request": "1", **ANNA}
DESTINATIONS = tuple(map(Destination.parse, ("WS1=localhost:104", "ROOM2=localhost:105")))


def with_sending(
    house: Furnished, deidentify: Deidentify = "never", *, can_disguise: bool = True
) -> FakeCarrier:
    """Let the house send, and give what it sends with."""
    carrier = FakeCarrier()
    library = IndexedLibrary(
        FakeLibrary(house.archive, can_disguise=can_disguise),
        lambda archive_ids: house.index.indexed(VERSION, archive_ids),
    )
    house.sending = Sending(
        archive=house.archive,
        library=library,
        access=house.archive,
        policy=Policy(PSEUDONYMS, "pseudonym", deidentify),
        shipping=Shipping(library),
        carrier=carrier,
        destinations=DESTINATIONS,
    )
    return carrier


@pytest.fixture
def carrier(house: Furnished) -> FakeCarrier:
    return with_sending(house)


@pytest.fixture
def client(house: Furnished, carrier: FakeCarrier) -> Iterator[httpx.Client]:
    with opened(house) as client:
        yield client


def opened(house: Furnished, sending_wait_s: float = 60) -> Client:
    return Client(house, sending_wait_s)


class Client:
    """A client of the house's application on a real port."""

    def __init__(self, house: Furnished, sending_wait_s: float) -> None:
        settings = ApiSettings(links=LINKS, plugin_secret=SECRET, sending_wait_s=sending_wait_s)
        self.served = served(house.app(settings))

    def __enter__(self) -> httpx.Client:
        self.client = httpx.Client(base_url=self.served.__enter__(), timeout=60, trust_env=False)
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.served.__exit__(None, None, None)


@pytest.fixture
def chosen(studies: Studies) -> list[WrittenStudy]:
    return studies.old("brain-mr")[:2]


def wish(*studies: WrittenStudy, destination: str = "WS1", **more: object) -> dict[str, object]:
    return {"studies": [s.study_instance_uid for s in studies], "destination": destination, **more}


@pytest.mark.parametrize("deidentify", ["never", "others", "always"])
def test_the_destinations_are_named_without_their_addresses_and_with_the_policy(
    house: Furnished, deidentify: Deidentify
) -> None:
    with_sending(house, deidentify)
    with opened(house) as client:
        answer = client.get("/api/destinations").json()
    assert answer == {"destinations": ["ROOM2", "WS1"], "deidentify": deidentify}


def test_whole_studies_are_sent_and_counted(
    client: httpx.Client, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    answer = client.post("/api/send", json=wish(*chosen))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert len(told.pop("id")) == 32
    assert told == {
        "destination": "WS1",
        "state": "done",
        "instances": sum(len(s.paths) for s in chosen),
        "sent": sum(len(s.paths) for s in chosen),
        "failed": 0,
        "reason": "",
        "message": "",
        "studies": [
            {"study_instance_uid": s.study_instance_uid, "sent": len(s.paths), "failed": 0} for s in chosen
        ],
    }
    assert {d.StudyInstanceUID for d in carrier.sent["WS1"]} == {s.study_instance_uid for s in chosen}


def test_what_a_destination_refuses_is_counted(
    client: httpx.Client, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    client.post("/api/send", json=wish(chosen[0]))
    carrier.refused = {carrier.sent["WS1"][0].SOPInstanceUID}
    answer = client.post("/api/send", json=wish(chosen[0])).json()
    assert (answer["sent"], answer["failed"]) == (len(chosen[0].paths) - 1, 1)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"destination": "NOBODY"}, 404, "unknown_destination"),
        ({"studies": ["1.2.3"]}, 404, "not_found"),
        ({"studies": []}, 422, None),
        ({"studies": ["1.2.3"] * 21}, 422, None),
        ({"studies": ["PatientID"]}, 422, None),
        ({"to": "WS1"}, 422, None),
    ],
)
def test_a_wish_that_cannot_be_granted_says_why(
    client: httpx.Client,
    carrier: FakeCarrier,
    chosen: list[WrittenStudy],
    changes: dict[str, object],
    status: int,
    reason: str | None,
) -> None:
    answer = client.post("/api/send", json={**wish(chosen[0]), **changes})
    assert answer.status_code == status, answer.text
    assert reason is None or answer.json()["reason"] == reason
    assert carrier.sent == {}


def test_a_destination_that_is_down_is_asked_again_later(
    client: httpx.Client, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    carrier.down = {"WS1"}
    assert client.post("/api/send", json=wish(chosen[0])).status_code == 503


def test_nothing_is_sent_that_the_caller_may_not_see_all_of(
    house: Furnished, client: httpx.Client, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    study = chosen[0]
    series = house.archive.series_of_study(study.study_instance_uid)
    assert len(series) > 1
    for reference in series[:-1]:
        house.archive.show(reference.archive_id, ANNA)
    hidden = client.post("/api/send", json=wish(study), headers=FORWARDED)
    assert (hidden.status_code, carrier.sent) == (404, {})
    house.archive.show(series[-1].archive_id, ANNA)
    assert client.post("/api/send", json=wish(study), headers=FORWARDED).status_code == 200


def test_where_nothing_is_configured_nothing_can_be_sent(
    house: Furnished, chosen: list[WrittenStudy]
) -> None:
    with opened(house) as client:
        assert client.get("/api/destinations").json() == {"destinations": [], "deidentify": None}
        answer = client.post("/api/send", json=wish(chosen[0]))
    assert (answer.status_code, answer.json()["reason"]) == (409, "no_destination")


def further(
    house: Furnished, study: WrittenStudy, folder: Path, *, issuer: str = "", indexed: bool = True
) -> str:
    """Store another study of the same patient, as a file says it; gives its Study Instance UID."""
    own = f"1.2.3.{len(list(folder.iterdir())) + 1}"
    dataset = dcmread(study.paths[0])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (
        own,
        f"{own}.1",
        f"{own}.1.1",
    )
    dataset.IssuerOfPatientID = issuer
    path = folder / f"{own}.dcm"
    dataset.save_as(path)
    (house.index_series if indexed else house.store)([path])
    return own


def who_went(carrier: FakeCarrier) -> dict[str, bool]:
    """Whether what arrived has its name, by the Study Instance UID that it arrived with."""
    arrived = carrier.sent.get("WS1", [])
    return {d.StudyInstanceUID: not str(d.PatientID).startswith("CASE-") for d in arrived}


def test_cases_of_others_lose_their_names_and_further_ones_of_the_examples_patient_do_not(
    house: Furnished, chosen: list[WrittenStudy], tmp_path: Path
) -> None:
    carrier = with_sending(house, "others")
    example, other = chosen
    own = further(house, example, tmp_path)
    body = wish(other, example=example.study_instance_uid)
    body["studies"] = [own, other.study_instance_uid]
    with opened(house) as client:
        answer = client.post("/api/send", json=body)
    assert answer.status_code == 200, answer.text
    assert who_went(carrier) == {own: True, PSEUDONYMS.uid(other.study_instance_uid): False}


def test_a_study_does_not_prove_by_itself_whose_it_is(house: Furnished, chosen: list[WrittenStudy]) -> None:
    carrier = with_sending(house, "others")
    study = chosen[0]
    with opened(house) as client:
        answer = client.post("/api/send", json=wish(study, example=study.study_instance_uid))
    assert answer.status_code == 200, answer.text
    assert who_went(carrier) == {PSEUDONYMS.uid(study.study_instance_uid): False}


def test_one_id_of_two_issuers_is_another_patient_and_so_is_what_is_not_indexed(
    house: Furnished, chosen: list[WrittenStudy], tmp_path: Path
) -> None:
    """This archive does not tell the issuer, as Orthanc 1.10 does not; the index knows it from the files."""
    carrier = with_sending(house, "others")
    example = further(house, chosen[0], tmp_path, issuer="CITY")
    same = further(house, chosen[0], tmp_path, issuer="CITY")
    elsewhere = further(house, chosen[0], tmp_path, issuer="VILLAGE")
    unknown = further(house, chosen[0], tmp_path, issuer="CITY", indexed=False)
    wanted = {"studies": [same, elsewhere, unknown], "destination": "WS1", "example": example}
    with opened(house) as client:
        assert client.post("/api/send", json=wanted).status_code == 200
    assert who_went(carrier) == {
        same: True,
        PSEUDONYMS.uid(elsewhere): False,
        PSEUDONYMS.uid(unknown): False,
    }


def test_an_example_that_the_caller_may_not_see_is_nobodys(
    house: Furnished, chosen: list[WrittenStudy], tmp_path: Path
) -> None:
    carrier = with_sending(house, "others")
    own = further(house, chosen[0], tmp_path)
    for reference in house.archive.series_of_study(own):
        house.archive.show(reference.archive_id, ANNA)
    wanted = {"studies": [own], "destination": "WS1", "example": chosen[0].study_instance_uid}
    with opened(house) as client:
        assert client.post("/api/send", json=wanted, headers=FORWARDED).status_code == 200
        assert who_went(carrier) == {PSEUDONYMS.uid(own): False}


def test_an_example_that_is_not_archived_is_nobodys(house: Furnished, chosen: list[WrittenStudy]) -> None:
    carrier = with_sending(house, "others")
    with opened(house) as client:
        answer = client.post("/api/send", json=wish(chosen[0], example="1.2.3"))
    assert answer.status_code == 200, answer.text
    assert {str(d.PatientID)[:5] for d in carrier.sent["WS1"]} == {"CASE-"}


def test_an_archive_that_cannot_deidentify_sends_nothing(
    house: Furnished, chosen: list[WrittenStudy]
) -> None:
    carrier = with_sending(house, "always", can_disguise=False)
    with opened(house) as client:
        answer = client.post("/api/send", json=wish(chosen[0]))
    assert (answer.status_code, answer.json()["reason"]) == (409, "cannot_deidentify")
    assert carrier.sent == {}


def test_who_sent_what_where_is_logged_without_a_name(
    client: httpx.Client, chosen: list[WrittenStudy], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client.post("/api/send", json=wish(chosen[0]))
    [line] = [m for m in caplog.messages if m.startswith("study_sent")]
    assert f"caller=direct destination=WS1 study={chosen[0].study_instance_uid}" in line


def over(client: httpx.Client, begun: httpx.Response) -> dict[str, Any]:
    """What became of a sending that goes on."""
    assert begun.status_code == 202, begun.text
    last: dict[str, Any] = {}

    def is_over() -> bool:
        last.update(client.get(f"/api/sendings/{begun.json()['id']}").json())
        return bool(last["state"] != "sending")

    wait_until(is_over)
    return last


def test_a_long_sending_is_not_waited_for_and_can_be_followed(
    house: Furnished, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    carrier.slow = threading.Event()
    with opened(house, sending_wait_s=0.1) as client:
        begun = client.post("/api/send", json=wish(*chosen))
        told = begun.json()
        assert (begun.status_code, told["state"]) == (202, "sending")
        assert told["sent"] < told["instances"]
        assert told["instances"] == sum(len(s.paths) for s in chosen)
        wait_until(lambda: client.get(f"/api/sendings/{told['id']}").json()["sent"] >= 1)
        carrier.slow.set()
        ended = over(client, begun)
    assert (ended["state"], ended["sent"], ended["failed"]) == ("done", told["instances"], 0)
    assert len(carrier.sent["WS1"]) == told["instances"], "and nothing twice"


def test_a_sending_that_breaks_off_says_how_far_it_came(
    house: Furnished, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    carrier.slow, carrier.slow_s, carrier.breaks_after = threading.Event(), 60, 1
    with opened(house, sending_wait_s=0.1) as client:
        begun = client.post("/api/send", json=wish(*chosen))
        carrier.slow.set()
        ended = over(client, begun)
    assert (ended["state"], ended["sent"], ended["reason"]) == ("failed", 1, "unavailable")
    assert "broke off" in ended["message"]


def test_another_callers_sending_is_not_told_of(
    house: Furnished, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    with opened(house) as client:
        name = client.post("/api/send", json=wish(chosen[0])).json()["id"]
        assert client.get(f"/api/sendings/{name}").status_code == 200
        assert (
            client.get(f"/api/sendings/{name}", headers={**FORWARDED, "X-CBIR-User": "anna"}).status_code
            == 404
        )
        unknown = client.get(f"/api/sendings/{'0' * 32}")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_sending")


def test_more_than_a_few_sendings_at_once_are_refused(
    house: Furnished, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    carrier.slow, carrier.slow_s = threading.Event(), 60
    with opened(house, sending_wait_s=0) as client:
        begun = [client.post("/api/send", json=wish(chosen[0])) for _ in range(UNFINISHED + 1)]
        assert [answer.status_code for answer in begun] == [202] * UNFINISHED + [429]
        carrier.slow.set()
        assert {over(client, answer)["state"] for answer in begun[:-1]} == {"done"}


def test_a_server_that_stops_calls_its_sendings_off(
    house: Furnished, carrier: FakeCarrier, chosen: list[WrittenStudy]
) -> None:
    carrier.slow = threading.Event()
    with opened(house, sending_wait_s=0) as client:
        total = client.post("/api/send", json=wish(*chosen)).json()["instances"]
    for thread in threading.enumerate():
        if thread.name == "sending":
            thread.join(60)
            assert not thread.is_alive()
    assert len(carrier.sent.get("WS1", [])) < total
