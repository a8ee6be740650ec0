"""The page in a real browser: what a person sees, clicks, drops and types."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from indexer.api import ApiSettings
from indexer.ledger import Failed
from tests.browser import Visit, settle, visit_of, wait_for_picture
from tests.fakes.house import LINKS, Furnished, served
from tests.indexer.conftest import Studies

pytestmark = pytest.mark.browser


def test_the_page_shows_what_is_indexed(visit: Visit, studies: Studies) -> None:
    visit.go()
    expect(visit.tiles).to_have_count(len(studies.indexed))
    wait_for_picture(visit.tiles.first)
    expect(visit.page.locator("#status")).to_contain_text("18 series indexed")
    expect(visit.page.get_by_text("Not for diagnosis")).to_be_visible()
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")


def test_a_study_that_is_picked_is_asked_about(visit: Visit, studies: Studies) -> None:
    visit.go()
    example = studies.old("chest-cr")[0]
    visit.page.locator(f'a[href="?study={example.study_instance_uid}"]').click()
    found = visit.matched()
    others = {study.study_instance_uid for study in studies.old("chest-cr")[1:]}
    assert set(found[:2]) == others
    assert example.study_instance_uid not in found
    first = visit.matches.first
    wait_for_picture(first)
    expect(first.locator(".rank")).to_have_text("1")
    score = float(first.locator(".raw").inner_text().split()[1])
    assert 0.9 < score <= 1
    expect(first.get_by_role("link", name="Open")).to_have_attribute(
        "href", f"{LINKS.public_url}/app/explorer.html#series?uuid={_archive_id(visit)}"
    )
    wait_for_picture(visit.page.locator("#example"))
    assert visit.page.url.endswith(f"?study={example.study_instance_uid}")
    visit.page.go_back()
    expect(visit.tiles.first).to_be_visible()


def _archive_id(visit: Visit) -> str:
    href = visit.matches.first.get_by_role("link", name="Open").get_attribute("href")
    return str(href).split("uuid=")[1]


@pytest.mark.parametrize("level", ["study", "series"])
def test_an_address_with_a_uid_asks_at_once(
    visit: Visit, house: Furnished, studies: Studies, level: str
) -> None:
    study = studies.old("brain-mr")[0].study_instance_uid
    series = house.archive.series_of_study(study)[0].series_instance_uid
    visit.go(f"/?{level}={study if level == 'study' else series}")
    others = {one.study_instance_uid for one in studies.old("brain-mr")[1:]}
    assert set(visit.matched()[:2]) == others
    pressed = visit.page.locator("#example .segment[aria-pressed=true]")
    expect(pressed).to_have_text("Study" if level == "study" else "Series")


def test_one_frame_of_the_example_can_be_asked_with(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('brain-mr')[0].study_instance_uid}")
    visit.page.locator("#example").get_by_role("button", name="Frame 3").first.click()
    expect(visit.page.locator("#example .position")).to_have_text("3/6")
    visit.page.get_by_role("button", name="Frame", exact=True).click()
    expect(visit.page.locator("#example .thumb[aria-pressed=true]")).to_have_count(1)
    expect(visit.page.locator("#example .segment[aria-pressed=true]")).to_have_text("Frame")
    assert "instance=" in visit.page.url
    assert "frame=1" in visit.page.url
    others = {one.study_instance_uid for one in studies.old("brain-mr")[1:]}
    assert set(visit.matched()[:2]) == others


def test_dropped_files_are_an_example(visit: Visit, studies: Studies) -> None:
    visit.go()
    expect(visit.tiles.first).to_be_visible()
    visit.drop(*studies.new("brain-mr").paths)
    expected = {one.study_instance_uid for one in studies.old("brain-mr")}
    assert set(visit.matched()[:3]) == expected
    wait_for_picture(visit.page.locator("#example"))
    expect(visit.page.locator("#example")).to_contain_text("12 files sent")
    sent = next(request for request in visit.requests if "api/search/upload" in request.url)
    assert sent.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert sent.headers["x-cbir-request"] == "1"


def test_one_chosen_file_is_sent_as_it_is(visit: Visit, studies: Studies) -> None:
    visit.go()
    visit.page.locator("#files").set_input_files(studies.new("chest-cr").paths[0])
    expected = {one.study_instance_uid for one in studies.old("chest-cr")}
    assert set(visit.matched()[:3]) == expected
    sent = next(request for request in visit.requests if "api/search/upload" in request.url)
    assert sent.headers["content-type"] == "application/dicom"


def test_files_that_are_no_dicom_are_told_of_before_anything_is_sent(
    visit: Visit, studies: Studies, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("hello")
    visit.go()
    visit.drop(note)
    expect(visit.page.get_by_role("alert")).to_contain_text("None of these is a DICOM file")
    assert not [request for request in visit.requests if "api/search/upload" in request.url]
    visit.page.get_by_role("button", name="Another one").click()
    visit.drop(note, *studies.new("chest-cr").paths)
    expect(visit.page.locator("#example")).to_contain_text("1 ignored, no DICOM")


def test_filters_narrow_the_list_and_the_answer(visit: Visit, studies: Studies) -> None:
    visit.go()
    expect(visit.tiles).to_have_count(len(studies.indexed))
    visit.page.get_by_role("button", name="CT", exact=True).click()
    expect(visit.tiles).to_have_count(3)
    visit.tiles.first.click()
    assert len(visit.matched()) == 2
    visit.page.get_by_role("button", name="CT", exact=True).click()
    expect(visit.matches).to_have_count(10)
    body_part = visit.page.get_by_label("Body part", exact=True).and_(visit.page.locator("input"))
    body_part.fill("lspine")
    body_part.press("Enter")
    expect(visit.matches).to_have_count(3)
    visit.page.get_by_role("button", name="Reset", exact=True).click()
    expect(visit.matches).to_have_count(10)
    visit.page.get_by_label("Study date from").fill("2017-01-01")
    expect(visit.matches).to_have_count(4)
    expect(visit.matches.first).to_contain_text("2017")
    visit.page.get_by_role("button", name="Reset", exact=True).click()
    expect(visit.matches).to_have_count(10)
    visit.page.locator("select[name=limit]").select_option("5")
    expect(visit.matches).to_have_count(5)


def test_filters_that_leave_nothing_say_so(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    visit.matched()
    modality = visit.page.get_by_label("Modality", exact=True).and_(visit.page.locator("input"))
    modality.fill("PX")
    modality.press("Enter")
    expect(visit.page.locator("#content")).to_contain_text("No other study passes the filters")


def test_references_are_shown_and_copied(visit: Visit, studies: Studies) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.clock.install()
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    first = visit.matches.first
    first.get_by_text("References").click()
    study = first.get_attribute("data-study")
    expect(first.locator(f'code[title="{study}"]')).to_be_visible()
    # What the page says goes by itself: it stays to be seen while the page's clock stands.
    visit.page.clock.pause_at(visit.page.evaluate("Date.now() + 60_000"))
    first.get_by_role("button", name="Copy Study").click()
    expect(visit.page.get_by_text("Copied")).to_be_visible()
    visit.page.clock.run_for(3_000)
    expect(visit.page.get_by_text("Copied")).to_be_hidden()
    assert visit.page.evaluate("navigator.clipboard.readText()") == study


def test_a_match_is_compared_with_the_example_by_keyboard_alone(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    visit.matched()
    for _ in range(3):
        visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    dialog = visit.page.locator("#compare")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Case 1 of 10")
    for figure in dialog.locator("figure").all():
        wait_for_picture(figure)
    visit.page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("Case 2 of 10")
    expect(dialog).to_contain_text("Not for diagnosis")
    visit.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_match_can_be_the_next_example(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    first = visit.matched()[0]
    visit.matches.first.get_by_role("button", name="Ask with this").click()
    visit.page.wait_for_url(f"**/?study={first}")
    assert first not in visit.matched()


def test_an_unknown_study_is_told_with_what_to_do(visit: Visit) -> None:
    visit.go("/?study=1.2.3")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("Not found")
    expect(alert.get_by_text("Nothing of this is indexed, or you may not see it.")).to_be_visible()
    expect(alert.get_by_text("check the UID")).to_be_hidden()
    visit.page.get_by_role("button", name="← All studies").click()
    expect(visit.tiles.first).to_be_visible()


def test_a_study_that_is_not_indexed_yet_can_be_asked_again(
    visit: Visit, house: Furnished, studies: Studies
) -> None:
    new = studies.new("chest-cr")
    archive_id = house.store(new.paths)
    visit.go(f"/?study={new.study_instance_uid}")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("Not indexed yet")
    expect(alert.get_by_text("state: waiting")).to_be_hidden()
    alert.get_by_text("For the administrator").click()
    expect(alert.get_by_text("state: waiting")).to_be_visible()
    expect(visit.example().get_by_text(new.study_instance_uid)).to_be_hidden()
    house.finish(archive_id, Failed("decoder_timeout", "The decoder took too long."))
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_contain_text("reason: decoder_timeout")


def test_a_neighbour_that_is_down_is_named_and_asked_again(
    visit: Visit, house: Furnished, studies: Studies
) -> None:
    house.index.unavailable = True
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("A part of the system does not answer")
    house.index.unavailable = False
    alert.get_by_role("button", name="Try again").click()
    assert visit.matched()


def test_an_empty_archive_says_how_it_fills(empty_house: Furnished, page: Page, studies: Studies) -> None:
    with served(empty_house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        expect(page.locator("#content")).to_contain_text("Nothing is indexed yet")
        visit.drop(*studies.new("chest-cr").paths)
        expect(page.locator("#content")).to_contain_text("No other study is indexed")
        assert not visit.complaints


def test_an_example_that_is_too_large_is_told_of_before_it_is_sent(
    house: Furnished, page: Page, studies: Studies
) -> None:
    with served(house.app(ApiSettings(max_upload_bytes=1000))) as url:
        visit = visit_of(page, url)
        visit.go()
        expect(page.locator("#status")).to_contain_text("indexed")
        visit.drop(*studies.new("chest-cr").paths)
        expect(page.get_by_role("alert")).to_contain_text("Too large")
        assert not [request for request in visit.requests if "api/search/upload" in request.url]


def test_a_token_is_asked_for_once_and_used_for_pictures_too(
    house: Furnished, page: Page, studies: Studies
) -> None:
    with served(house.app(ApiSettings(api_token="the-token"))) as url:
        visit = visit_of(page, url)
        visit.go()
        dialog = page.locator("#token")
        expect(dialog).to_be_visible()
        dialog.locator("input").fill("wrong")
        dialog.get_by_role("button").click()
        expect(dialog).to_be_visible()
        dialog.locator("input").fill("the-token")
        dialog.get_by_role("button").click()
        expect(visit.tiles).to_have_count(len(studies.indexed))
        wait_for_picture(visit.tiles.first)
        visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
        assert visit.matched()
        visit.drop(*studies.new("chest-cr").paths)
        expect(page.locator("#example")).to_contain_text("1 file sent")
        assert not visit.complaints


class BehindOrthanc:
    """What Orthanc and our plugin make of a request below /cbir, as far as a page can tell."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith("/cbir/"), scope["path"]
            headers = dict(scope["headers"])
            query = headers.get(b"x-cbir-query", b"" if scope["method"] == "POST" else scope["query_string"])
            assert not headers.get(b"content-type", b"").startswith(b"multipart/form-data")
            headers |= {b"x-cbir-secret": b"secret", b"x-cbir-forwarded": b"orthanc"}
            path = scope["path"].removeprefix("/cbir")
            scope = {**scope, "path": path, "query_string": query, "headers": list(headers.items())}
        await self._app(scope, receive, send)


def test_through_orthanc_the_page_needs_no_token_and_asks_the_same(
    house: Furnished, page: Page, studies: Studies
) -> None:
    anna = {"authorization": "Basic YW5uYTphbm5h"}
    for study in (*studies.old("chest-cr"), *studies.old("abdomen-ct"), *studies.old("brain-mr")):
        for series in house.archive.series_of_study(study.study_instance_uid):
            house.archive.show(series.archive_id, anna)
    app = house.app(ApiSettings(plugin_secret="secret", api_token="token"))
    page.context.set_extra_http_headers(anna)
    with served(BehindOrthanc(app)) as url:
        visit = visit_of(page, url + "/cbir/")
        visit.go()
        expect(visit.tiles).to_have_count(9)
        wait_for_picture(visit.tiles.first)
        page.get_by_role("button", name="CT", exact=True).click()
        page.get_by_role("button", name="CR", exact=True).click()
        expect(visit.tiles).to_have_count(6)
        visit.drop(*studies.new("brain-mr").paths)
        matched = set(visit.matched())
        shown = studies.old("chest-cr") + studies.old("abdomen-ct")
        assert matched == {study.study_instance_uid for study in shown}
        wait_for_picture(visit.matches.first)
        visit.go(f"?study={studies.old('chest-cr')[0].study_instance_uid}")
        assert len(visit.matched()) == 8
        assert not visit.complaints


def test_more_studies_are_shown_when_asked_for(visit: Visit, studies: Studies) -> None:
    visit.page.route(
        "**/api/studies?*",
        lambda route: route.continue_(url=route.request.url.replace("limit=24", "limit=6")),
    )
    visit.go()
    expect(visit.tiles).to_have_count(6)
    visit.page.get_by_role("button", name="Show more studies").click()
    expect(visit.tiles).to_have_count(12)
    visit.page.get_by_role("button", name="Show more studies").click()
    expect(visit.tiles).to_have_count(len(studies.indexed))
    expect(visit.page.get_by_role("button", name="Show more studies")).to_be_hidden()


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_runs_out_of_the_page(visit: Visit, studies: Studies, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 844})
    for path in ("", f"/?study={studies.old('brain-mr')[0].study_instance_uid}", "/docs"):
        visit.go(path)
        settle(visit.page)
        overflow = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, path


def test_the_api_is_described_on_a_page_of_our_own(visit: Visit) -> None:
    visit.go("/docs")
    operation = visit.page.locator("details.operation", has_text="/api/search/upload")
    operation.locator("summary").first.click()
    expect(operation).to_contain_text("same_patient")
    expect(operation).to_contain_text("application/zip")
