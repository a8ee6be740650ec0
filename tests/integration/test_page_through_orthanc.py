"""What the page asks through Orthanc, the distribution's and a current one, with the caller's rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from rich.console import Console

from demo.families import FAMILIES, write_studies
from demo.walk import Walk, hospital
from tests.browser import opened, until, visit_of, wait_for_picture
from tests.integration.conftest import ANSWER_WAIT_S, ASKING, Programs, store, wait_until_indexed

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

CHESTS = tuple(family for family in FAMILIES if family.name == "chest-cr")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Walk]:
    """A few chests behind one of the two Orthancs."""
    studies = list(write_studies(tmp_path_factory.mktemp("studies"), per_family=4, families=CHESTS))
    with hospital(tmp_path_factory.mktemp("hospital"), programs=programs) as walk:
        for study in studies:
            store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
        wait_until_indexed(walk, Console(quiet=True), series=len(studies))
        yield walk


@pytest.fixture
def known(ward: Walk, browser: Browser) -> Iterator[Page]:
    """A page of somebody whom Orthanc knows."""
    user, password = ward.orthanc.auth
    with opened(
        browser,
        locale="en-GB",
        http_credentials={"username": user, "password": password},
        color_scheme="dark",
    ) as page:
        yield page


def asked(ward: Walk, **credentials: tuple[str, str]) -> httpx.Client:
    """Somebody who asks Orthanc; nobody without credentials."""
    base = f"{ward.orthanc.http_url}/cbir"
    return httpx.Client(base_url=base, headers=ASKING, timeout=60, trust_env=False, **credentials)  # type: ignore[arg-type]


def test_windows_maps_and_sending_work_on_the_page_in_orthanc(ward: Walk, known: Page) -> None:
    visit = visit_of(known, f"{ward.orthanc.http_url}/cbir/")
    visit.go()
    wait_for_picture(visit.tiles.first)
    visit.tiles.first.click()
    found = visit.matched()
    wait_for_picture(visit.example())
    width = visit.example().get_by_label("Width")
    width.fill("300")
    width.press("Enter")
    until(known, lambda: any("window_width=300" in request.url for request in visit.requests))
    known.get_by_role("button", name="Where alike").click()
    expect(visit.matches.first.locator(".map")).to_be_visible()
    visit.matches.first.get_by_role("button", name="Send", exact=True).click()
    known.get_by_label("To", exact=True).select_option("WORKSTATION")
    known.get_by_role("button", name="Send 1 case").click()
    expect(known.locator("#toast")).to_contain_text("sent to WORKSTATION")
    received = ward.workstation.next_received(ANSWER_WAIT_S)
    assert received is not None
    assert received.StudyInstanceUID == found[0]
    assert not visit.complaints


def test_whom_orthanc_does_not_know_gets_no_map_and_sends_nothing(ward: Walk) -> None:
    frames = frames_of(ward)
    with asked(ward) as nobody:
        assert nobody.get("/api/maps", params=frames).status_code == 401
        assert nobody.get("/api/destinations").status_code == 401
        assert nobody.post("/api/send", json={}).status_code == 401
    with asked(ward, auth=ward.orthanc.auth) as known:
        assert known.get("/api/maps", params=frames).json().keys() == {"example", "match"}
        assert "WORKSTATION" in known.get("/api/destinations").json()["destinations"]
        assert known.post("/api/send", json={"studies": [], "destination": "X"}).status_code == 422
        del known.headers["X-CBIR-Request"]
        assert known.post("/api/send", json={}).status_code == 403


def frames_of(ward: Walk) -> Mapping[str, str | int]:
    """Two frames as GET /api/maps wants them."""
    with httpx.Client(base_url=ward.service.url, timeout=60, trust_env=False) as direct:
        first, second = [study["key_frame"] for study in direct.get("/api/studies").json()["studies"][:2]]
    return {
        "example_sop_instance_uid": first["sop_instance_uid"],
        "example_frame_number": first["frame_number"],
        "sop_instance_uid": second["sop_instance_uid"],
        "frame_number": second["frame_number"],
    }
