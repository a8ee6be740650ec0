"""The button of Orthanc Explorer, pressed in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import opened
from tests.conftest import StartOrthanc
from tests.fakes.indexer import Canned, RecordingIndexer
from tests.fakes.studies import SENDER, send, small_series

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

PAGE = Canned(200, b"<!doctype html><title>asked</title>", {"Content-Type": "text/html"})


@pytest.fixture
def indexer() -> Iterator[RecordingIndexer]:
    with RecordingIndexer(on_asking=lambda _: PAGE) as running:
        yield running


def test_the_button_opens_the_page_about_the_study_or_series_at_hand(
    start_orthanc: StartOrthanc, indexer: RecordingIndexer, browser: Browser
) -> None:
    modalities = {SENDER: ("127.0.0.1", 104)}
    orthanc = start_orthanc(indexer_url=indexer.url, secret=indexer.secret, modalities=modalities)
    series = small_series(1)
    send(orthanc, series.instances)
    with orthanc.client() as client:
        study_id = client.get(f"/series/{series.orthanc_id}").json()["ParentStudy"]
    known = {"username": orthanc.user, "password": orthanc.password}
    with opened(browser, http_credentials=known) as page:
        for anchor, expected in (
            (f"#study?uuid={study_id}", f"/cbir/?study={series.study_instance_uid}"),
            (f"#series?uuid={series.orthanc_id}", f"/cbir/?series={series.series_instance_uid}"),
        ):
            asked = _press(page, f"{orthanc.http_url}/app/explorer.html{anchor}")
            assert asked.url == orthanc.http_url + expected
            assert asked.title() == "asked"
            assert asked.evaluate("window.opener") is None
    assert indexer.asked()[0].headers["x-cbir-user"] == orthanc.user


def _press(page: Page, url: str) -> Page:
    page.goto("about:blank")
    page.goto(url)
    with page.expect_popup() as popup:
        page.get_by_text("Find similar cases").locator("visible=true").click()
    asked = popup.value
    asked.wait_for_url("**/cbir/**")
    asked.wait_for_load_state()
    return asked
