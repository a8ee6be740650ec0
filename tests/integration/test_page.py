"""The page in a real browser, over the real service and through a real Orthanc; each state is pictured.

With CBIR_TEST_SCREENSHOTS=folder the pictures are kept there, as `make screenshots` does for `docs/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect
from pydicom import dcmread
from rich.console import Console

from cbir.progress import watch_until_done
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import Walk
from evaluation.outsiders import noise
from indexer.ledger import Background, State
from indexer.search.judging import Judge
from tests.browser import Visit, drag, opened, picture_of, settle, until, visit_of, wait_for_picture
from tests.fakes.house import Furnished, by_series, furnished, served
from tests.fakes.workstation import wait_until
from tests.indexer.api.test_web_asking import Held
from tests.integration.conftest import (
    ANSWER_WAIT_S,
    INDEX_WAIT_S,
    PER_FAMILY,
    SETTLED_S,
    calibrate,
    looked_up,
    store,
    wait_until_indexed,
)
from tests.integration.gallery import Gallery, gallery, lower_by, of_three_series, series_of

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

MORE_CHESTS = 18
SIZE: ViewportSize = {"width": 1360, "height": 900}
REGION_MS = 60_000


@pytest.fixture
def dark(browser: Browser) -> Iterator[Page]:
    """A page in the reading room."""
    with opened(browser, viewport=SIZE, locale="en-GB", color_scheme="dark") as page:
        yield page


@pytest.fixture
def in_orthanc(browser: Browser, walk: Walk) -> Iterator[Page]:
    """A page of somebody whom Orthanc knows, where light is preferred."""
    user, password = walk.orthanc.auth
    with opened(
        browser, viewport=SIZE, locale="en-GB", http_credentials={"username": user, "password": password}
    ) as page:
        yield page


@pytest.fixture
def reading(archived: Sequence[WrittenStudy], tmp_path: Path) -> Iterator[Furnished]:
    """A house whose encoder reads text; it knows as many pairs as a percentage wants."""
    pairs = Background(
        "CR", "CHEST", 5000, np.linspace(-1, 1, 1001, dtype=np.float32), np.zeros(51, np.float32)
    )
    with furnished() as house:
        house.languages = ("en", "fr")
        house.judge = Judge(background=lambda *_: pairs)
        for number, study in enumerate(archived):
            for paths in by_series(study):
                is_chest = study.family == "chest-cr"
                house.index_series(
                    lower_by(12 * (number % PER_FAMILY), paths, tmp_path) if is_chest else paths
                )
        yield house


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go."""
    named = os.environ.get("CBIR_TEST_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep(page: Page, folder: Path, name: str) -> None:
    """Take a picture when every image on the page has arrived."""
    page.wait_for_load_state("networkidle")
    settle(page)
    take(page, folder, name)


def take(page: Page, folder: Path, name: str) -> None:
    """Take a picture now, in 256 colours."""
    seen = Image.open(BytesIO(page.screenshot())).convert("RGB")
    assert len(seen.getcolors(seen.width * seen.height) or []) > 20, "the picture is empty"
    seen.quantize(256).save(folder / f"{name}.png", optimize=True)


def test_an_empty_archive_says_how_it_fills(walk: Walk, dark: Page, pictures: Path) -> None:
    visit = visit_of(dark, walk.service.url)
    visit.go()
    expect(dark.locator("#content")).to_contain_text("Nothing is indexed yet")
    keep(dark, pictures, "empty")
    assert not visit.complaints


def test_while_an_example_is_embedded_the_page_says_so(
    filled: Walk,
    dark: Page,
    pictures: Path,
    archived: Sequence[WrittenStudy],
    unknown: Mapping[str, WrittenStudy],
) -> None:
    visit = visit_of(dark, filled.service.url)
    held: list[Route] = []
    dark.route("**/api/search/upload**", lambda route: held.append(route))  # noqa: PLW0108 - marked by it
    visit.go()
    expect(visit.tiles.first).to_be_visible()
    visit.drop(*unknown["spine-mr"].paths)
    expect(dark.locator("#content")).to_have_attribute("aria-busy", "true")
    expect(visit.example().get_by_role("status")).to_contain_text("Sending")
    until(dark, lambda: bool(held))
    take(dark, pictures, "asking")
    held[0].continue_()
    family = {s.study_instance_uid for s in archived if s.family == "spine-mr"}
    assert set(visit.matched()[:4]) == family
    wait_for_picture(visit.matches.first)
    keep(dark, pictures, "upload")
    assert_at_home(visit)


def test_an_unknown_study_is_told_with_what_to_do(filled: Walk, dark: Page, pictures: Path) -> None:
    visit = visit_of(dark, filled.service.url)
    visit.go("/?study=1.2.3")
    expect(dark.get_by_role("alert")).to_contain_text("Check the link, or wait until it is indexed")
    keep(dark, pictures, "not-found")


def test_through_orthanc_the_page_does_the_same(
    filled: Walk,
    in_orthanc: Page,
    pictures: Path,
    archived: Sequence[WrittenStudy],
    unknown: Mapping[str, WrittenStudy],
) -> None:
    """Picked from the list, filtered, asked about, and asked with dropped files."""
    visit = visit_of(in_orthanc, f"{filled.orthanc.http_url}/cbir/")
    visit.go()
    wait_for_picture(visit.tiles.first)
    study = next(study for study in archived if study.family == "chest-cr")
    family = {s.study_instance_uid for s in archived if s.family == "chest-cr"}
    in_orthanc.locator(f'a[href="?study={study.study_instance_uid}"]').click()
    assert set(visit.matched()[:3]) == family - {study.study_instance_uid}
    wait_for_picture(visit.matches.first)
    keep(in_orthanc, pictures, "matches-in-orthanc")
    visit.drop(*unknown["chest-cr"].paths)
    expect(in_orthanc.locator("#example")).to_contain_text("1 file sent")
    assert set(visit.matched()[:4]) == family
    assert_at_home(visit)


def test_the_button_in_orthanc_explorer_asks_about_the_study(
    filled: Walk, in_orthanc: Page, pictures: Path, archived: Sequence[WrittenStudy]
) -> None:
    study = next(study for study in archived if study.family == "brain-mr")
    (orthanc_id,) = looked_up(filled, study.study_instance_uid)
    in_orthanc.goto(f"{filled.orthanc.http_url}/app/explorer.html#study?uuid={orthanc_id}")
    button = in_orthanc.locator("a:visible", has_text="Find similar cases").first
    expect(button).to_be_visible()
    take(in_orthanc, pictures, "button")
    with in_orthanc.expect_popup() as opened:
        button.click()
    visit = visit_of(opened.value, f"{filled.orthanc.http_url}/cbir/")
    assert study.study_instance_uid not in visit.matched()


def settled(walk: Walk) -> Mapping[State, int]:
    """How many series are in each state once none is looked at."""
    return watch_until_done(
        Console(quiet=True), walk.service.counts, settled_s=SETTLED_S, limit_s=INDEX_WAIT_S
    )


def test_a_study_that_failed_says_why(
    filled: Walk, dark: Page, pictures: Path, unknown: Mapping[str, WrittenStudy], tmp_path: Path
) -> None:
    before = settled(filled)
    study = unknown["breast-us"]
    dataset = dcmread(study.paths[0])
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(tmp_path / "cut.dcm")
    httpx.post(
        f"{filled.orthanc.http_url}/instances",
        content=(tmp_path / "cut.dcm").read_bytes(),
        auth=filled.orthanc.auth,
        trust_env=False,
    ).raise_for_status()
    wait_until(lambda: settled(filled)[State.FAILED] > before[State.FAILED], INDEX_WAIT_S)
    assert settled(filled)[State.INDEXED] == before[State.INDEXED]
    visit = visit_of(dark, filled.service.url)

    def is_refused() -> bool:
        # Orthanc tells of a series once more when it is stable: while it is looked at again it waits.
        visit.go(f"/?study={study.study_instance_uid}")
        settle(dark)
        return dark.locator(".state.refused").count() == 1

    until(dark, is_refused)
    expect(dark.locator(".state.refused")).to_contain_text("damaged or cut short")
    keep(dark, pictures, "failed")


@pytest.fixture(scope="module")
def shown(
    walk: Walk,
    filled: Walk,
    archived: Sequence[WrittenStudy],
    unknown: Mapping[str, WrittenStudy],
    tmp_path_factory: pytest.TempPathFactory,
) -> Gallery:
    """What the pictures are of; archived and indexed besides, with enough chests to be compared with."""
    brain, spine = (
        next(study.paths for study in archived if study.family == family)
        for family in ("brain-mr", "spine-mr")
    )
    chests = [study.paths for study in archived if study.family == "chest-cr"]
    shown = gallery(tmp_path_factory.mktemp("gallery"), brain, spine, [*chests, unknown["chest-cr"].paths])
    chest = next(replace(family, name="more-chests") for family in FAMILIES if family.name == "chest-cr")
    more = write_studies(tmp_path_factory.mktemp("chests"), per_family=MORE_CHESTS, families=(chest,))
    files = {**shown.files, **{study.study_instance_uid: study.paths for study in more}}
    before = settled(walk)[State.INDEXED]
    for paths in files.values():
        store(paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
    wait_until_indexed(walk, Console(quiet=True), series=before + series_of(files))
    calibrate(walk)
    return shown


def asked_about(visit: Visit, study: str) -> None:
    visit.go(f"/?study={study}")
    visit.matched()
    wait_for_picture(visit.example())
    wait_for_picture(visit.matches.first)


def test_a_study_is_asked_about_and_compared(
    filled: Walk, dark: Page, archived: Sequence[WrittenStudy]
) -> None:
    study = next(study for study in archived if study.family == "abdomen-ct")
    visit = visit_of(dark, filled.service.url)
    visit.go(f"/?study={study.study_instance_uid}")
    family = {s.study_instance_uid for s in archived if s.family == "abdomen-ct"}
    assert set(visit.matched()[:3]) == family - {study.study_instance_uid}
    wait_for_picture(visit.matches.first)
    visit.example().get_by_label("Preset").select_option("bone")
    picture_of(visit.matches.first).click()
    for figure in dark.locator("#compare figure").all():
        wait_for_picture(figure)
    expect(dark.locator("#compare").get_by_label("Preset")).to_have_value("bone")
    assert any("window_center=450" in request.url for request in visit.requests)
    assert_at_home(visit)


def test_what_is_indexed_is_shown(filled: Walk, shown: Gallery, dark: Page, pictures: Path) -> None:
    visit = visit_of(dark, filled.service.url)
    visit.go()
    wait_for_picture(visit.tiles.first)
    keep(dark, pictures, "studies")
    assert_at_home(visit)


def test_matches_stand_in_rows_beside_the_series_of_the_example(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path
) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.chest)
    keep(dark, pictures, "matches")
    asked_about(visit, shown.brain)
    dark.locator("#example .series-name").first.click()
    keep(dark, pictures, "strip")
    assert_at_home(visit)


def test_a_region_is_asked_with_and_its_place_is_shown(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path
) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.brain)
    dark.get_by_role("button", name="Region", exact=True).click()
    drag(dark, dark.locator("#example .stage"), (0.38, 0.36), (0.64, 0.62))
    dark.get_by_role("button", name="Ask with this region").click()
    pressed = dark.locator("#example .segment[aria-pressed=true]")
    expect(pressed).to_have_text("Region", timeout=REGION_MS)
    wait_for_picture(visit.matches.first)
    expect(visit.matches.first.locator(".place .over")).to_have_count(1)
    keep(dark, pictures, "region")
    assert_at_home(visit)


def test_a_match_is_compared_with_a_map_over_both(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path
) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.brain)
    dark.get_by_role("button", name="Where alike").click()
    for row in (0, 1):
        expect(visit.matches.nth(row).locator(".map")).to_be_visible()
    keep(dark, pictures, "map-in-rows")
    visit.matches.first.locator(".match-picture").click()
    for figure in dark.locator("#compare figure").all():
        wait_for_picture(figure)
        expect(figure.locator(".map")).to_be_visible()
    keep(dark, pictures, "compare")
    assert_at_home(visit)


def test_cases_are_chosen_round_after_round_and_the_same_patient_has_a_lane(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path
) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.chest)
    for row, button in ((1, "More like this"), (3, "Less like this")):
        visit.matches.nth(row).get_by_role("button", name=button).click()
        expect(dark.locator("#content")).to_have_attribute("aria-busy", "false")
    expect(dark.locator(".chip")).to_have_count(2)
    wait_for_picture(visit.matches.first)
    keep(dark, pictures, "refined")
    dark.get_by_role("button", name="Remove all").click()
    dark.get_by_label("Same patient too").check()
    expect(dark.locator(".lane-study")).to_have_count(2)
    wait_for_picture(dark.locator(".lane-study").first)
    keep(dark, pictures, "same-patient")
    assert_at_home(visit)


def test_cases_are_sent_to_a_workstation(filled: Walk, shown: Gallery, dark: Page, pictures: Path) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.chest)
    study = visit.matched()[0]
    visit.matches.first.get_by_role("button", name="Send", exact=True).click()
    dark.get_by_label("To", exact=True).select_option("WORKSTATION")
    keep(dark, pictures, "send")
    dark.get_by_role("button", name="Send 1 case").click()
    expect(dark.locator("#toast")).to_contain_text("sent to WORKSTATION")
    received = filled.workstation.next_received(ANSWER_WAIT_S)
    assert received is not None
    assert received.StudyInstanceUID == study
    assert_at_home(visit)


def test_a_question_that_cannot_be_answered_is_refused_with_the_reason(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path, tmp_path: Path
) -> None:
    blank = dcmread(shown.new_chest[0])
    blank.PixelData = bytes(len(blank.PixelData))
    blank.save_as(tmp_path / "blank.dcm")
    visit = visit_of(dark, filled.service.url)
    visit.go()
    visit.drop(tmp_path / "blank.dcm")
    expect(dark.locator(".state.refused")).to_contain_text("one grey level")
    expect(visit.matches).to_have_count(0)
    keep(dark, pictures, "refused")
    assert_at_home(visit)


def test_an_image_of_a_kind_that_the_encoder_does_not_know_is_refused(
    filled: Walk, dark: Page, pictures: Path, tmp_path: Path, unknown: Mapping[str, WrittenStudy]
) -> None:
    dataset = dcmread(unknown["brain-mr"].paths[0])
    ((_, picture),) = noise(("speckle",), 1, 3)
    dataset.Rows, dataset.Columns = picture.shape
    dataset.PixelData = np.rint(picture * 1000).astype("<u2").tobytes()
    dataset.save_as(tmp_path / "noise.dcm")
    visit = visit_of(dark, filled.service.url)
    visit.go()
    visit.drop(tmp_path / "noise.dcm")
    expect(dark.locator(".state.refused")).to_contain_text("images that the search was made for")
    expect(visit.example()).to_contain_text("1 file sent")
    keep(dark, pictures, "refused-unknown")
    assert_at_home(visit)


def test_another_patient_id_with_the_same_images_is_marked(
    filled: Walk, shown: Gallery, dark: Page, pictures: Path
) -> None:
    visit = visit_of(dark, filled.service.url)
    asked_about(visit, shown.spine)
    expect(visit.matches.first.locator(".flag.warning")).to_have_text("Perhaps the same person")
    keep(dark, pictures, "same-person")
    assert_at_home(visit)


def test_help_and_keys(filled: Walk, dark: Page, pictures: Path) -> None:
    visit = visit_of(dark, filled.service.url)
    visit.go()
    wait_for_picture(visit.tiles.first)
    dark.get_by_role("button", name="Help").click()
    expect(dark.locator("#help")).to_contain_text("Keys")
    keep(dark, pictures, "help")
    assert_at_home(visit)


def test_words_stand_beside_an_example_where_an_encoder_reads(
    reading: Furnished, archived: Sequence[WrittenStudy], dark: Page, pictures: Path
) -> None:
    with served(reading.app()) as url:
        visit = visit_of(dark, url)
        asked_about(visit, next(s.study_instance_uid for s in archived if s.family == "chest-cr"))
        box = dark.get_by_label("What a match shall show")
        box.fill("bright on the left")
        box.press("Enter")
        expect(dark.locator("#content")).to_have_attribute("aria-busy", "false")
        assert visit.questions()[-1]["text"] == "bright on the left"
        dark.locator("#words").scroll_into_view_if_needed()
        wait_for_picture(visit.matches.first)
        keep(dark, pictures, "words")
        assert_at_home(visit)


def test_which_series_is_looked_at_is_said(
    reading: Furnished, unknown: Mapping[str, WrittenStudy], dark: Page, pictures: Path, tmp_path: Path
) -> None:
    held = Held()
    reading.encoder = held
    with served(reading.app()) as url:
        visit = visit_of(dark, url)
        visit.go()
        expect(visit.tiles.first).to_be_visible()
        visit.drop(*of_three_series(tmp_path, unknown["brain-mr"].paths, unknown["spine-mr"].paths))
        held.let.release()
        line = visit.example().get_by_role("status")
        expect(line).to_have_text("Looking at series 2 of 3 …")
        take(dark, pictures, "reading")
        held.let.release(100)
        assert visit.matched()


def test_in_french_and_where_light_is_preferred(
    filled: Walk, shown: Gallery, browser: Browser, pictures: Path
) -> None:
    for name, options in (
        ("french", {"locale": "fr-FR", "color_scheme": "dark"}),
        ("light", {"locale": "en-GB", "color_scheme": "light"}),
    ):
        with opened(browser, viewport=SIZE, **options) as page:
            visit = visit_of(page, filled.service.url)
            asked_about(visit, shown.chest)
            keep(page, pictures, name)
            assert_at_home(visit)


def test_on_a_phone(filled: Walk, shown: Gallery, browser: Browser, pictures: Path) -> None:
    phone = opened(
        browser,
        viewport={"width": 390, "height": 844},
        locale="en-GB",
        color_scheme="dark",
        device_scale_factor=2,
    )
    with phone as page:
        visit = visit_of(page, filled.service.url)
        visit.go(f"/?study={shown.chest}")
        visit.matched()
        visit.matches.first.scroll_into_view_if_needed()
        wait_for_picture(visit.matches.first)
        keep(page, pictures, "phone")
        assert_at_home(visit)


def assert_at_home(visit: Visit) -> None:
    """No complaint of the browser (its content security policy among them), no request elsewhere."""
    assert not visit.complaints
    host = visit.url.split("/")[2]
    elsewhere = [r.url for r in visit.requests if not r.url.startswith(("blob:", "data:"))]
    assert [url for url in elsewhere if url.split("/")[2] != host] == []
