"""Looking at frames on the page: scrolling, the window, maps, the comparison, where a match is opened."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.families import WrittenStudy
from indexer.answers.links import PRESETS, Links
from indexer.api import ApiSettings
from tests.browser import Visit, drag, until, visit_of, wait_for_picture
from tests.fakes.house import Furnished, served
from tests.indexer.conftest import Studies

pytestmark = pytest.mark.browser


def shown(visit: Visit, study: WrittenStudy) -> Locator:
    """The stage of the example, with its picture."""
    visit.go(f"/?study={study.study_instance_uid}")
    visit.matched()
    wait_for_picture(visit.example())
    return visit.page.locator("#example .stage")


def windows_of(visit: Visit) -> set[tuple[float, float]]:
    """Every window that a picture was asked for with."""
    queries = [parse_qs(urlsplit(request.url).query) for request in visit.requests]
    return {
        (float(query["window_center"][0]), float(query["window_width"][0]))
        for query in queries
        if "window_center" in query
    }


def windowed(visit: Visit) -> set[str]:
    """The pictures that were asked for with a window."""
    return {urlsplit(request.url).path for request in visit.requests if "window_center" in request.url}


def is_previewed(image: Locator) -> bool:
    """Whether the browser itself shows a picture through a window."""
    return bool(re.search(r"url\(.*#window-of-\d+", image.evaluate("image => image.style.filter")))


def in_view(place: Locator) -> str:
    return str(place.locator("img").first.get_attribute("src"))


# Frames


def test_the_series_of_a_study_stand_in_strips_that_say_what_they_are(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("brain-mr")[0])
    names = visit.page.locator("#example .series-name")
    expect(names).to_have_count(2)
    expect(names.first).to_contain_text("MR · BRAIN")
    expect(names.first).to_contain_text("6 frames")
    names.nth(0).click()
    expect(names.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(visit.page.locator("#example .position")).to_have_text("4/6")


def test_a_strip_shows_at_which_end_it_goes_on(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("abdomen-ct")[0])
    strip = visit.page.locator("#example .frames")
    strip.evaluate("strip => (strip.scrollLeft = 0)")
    expect(strip).to_have_class("frames row-of-pictures after")
    strip.evaluate("strip => (strip.scrollLeft = strip.scrollWidth)")
    expect(strip).to_have_class("frames row-of-pictures before")


def test_no_gap_is_left_where_the_caption_goes_when_another_frame_is_chosen(
    visit: Visit, studies: Studies
) -> None:
    shown(visit, studies.old("brain-mr")[0])
    caption = visit.page.locator("#example .caption")
    expect(caption).to_be_visible()
    visit.page.locator("#example").get_by_role("button", name="Frame 2").first.click()
    expect(caption).to_have_css("display", "none")


def test_frames_are_scrolled_by_wheel_slider_and_keys(visit: Visit, studies: Studies) -> None:
    stage = shown(visit, studies.old("spine-mr")[0])
    position = visit.page.locator("#example .position")
    slider = visit.example().get_by_label("Frame", exact=True)
    slider.fill("2")
    expect(position).to_have_text("2/5")
    before = in_view(stage)
    stage.hover()
    visit.page.mouse.wheel(0, 100)
    expect(position).to_have_text("3/5")
    wait_for_picture(visit.example())
    expect(stage.locator("img")).not_to_have_attribute("src", before)
    slider.focus()
    slider.press("ArrowRight")
    expect(position).to_have_text("4/5")
    current = visit.page.locator("#example .thumb[aria-pressed=true]")
    current.focus()
    current.press("ArrowRight")
    expect(position).to_have_text("5/5")
    expect(visit.example().get_by_role("button", name="Frame 5")).to_be_focused()
    assert slider.get_attribute("aria-valuetext") == "5 of 5"


def test_a_match_begins_with_its_best_frame_and_scrolls_through_its_series(
    visit: Visit, studies: Studies
) -> None:
    shown(visit, studies.old("spine-mr")[0])
    row = visit.matches.first
    thumbs = row.locator(".thumb")
    expect(thumbs).to_have_count(6)
    expect(thumbs.first).to_have_attribute("aria-label", "Best frame")
    wait_for_picture(row)
    best = in_view(row)
    row.locator(".stage").hover()
    pressed = row.locator(".thumb:not(.best)[aria-pressed=true]")
    number = int(str(pressed.get_attribute("aria-label")).split()[1])
    visit.page.mouse.wheel(0, 100 if number < 5 else -100)
    expect(pressed).to_have_attribute("aria-label", f"Frame {number + (1 if number < 5 else -1)}")
    expect(row.locator(".stage img")).not_to_have_attribute("src", best)
    thumbs.first.click()
    expect(row.locator(".stage img")).to_have_attribute("src", best)
    thumbs.first.press("ArrowRight")
    expect(thumbs.nth(1)).to_be_focused()


def test_the_frame_of_the_example_that_a_case_is_nearest_to_is_shown_until_another_is_chosen(
    visit: Visit, studies: Studies
) -> None:
    shown(visit, studies.old("brain-mr")[0])
    visit.matches.nth(1).hover()
    caption = visit.page.locator("#example .caption")
    expect(caption).to_have_text("Your frame nearest to case 2")
    visit.example().get_by_role("button", name="Frame 3").first.click()
    visit.matches.nth(0).hover()
    expect(visit.page.locator("#example .position")).to_have_text("3/6")
    expect(caption).to_have_text("")


# The window


def test_a_drag_is_seen_at_once_and_drawn_sharply_afterwards_in_example_and_match_alike(
    visit: Visit, studies: Studies
) -> None:
    stage = shown(visit, studies.old("brain-mr")[0])
    wait_for_picture(visit.matches.first)
    page = visit.page
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 130)
    images = [stage.locator("img"), visit.matches.first.locator(".stage img")]
    for image in images:
        until(page, partial(is_previewed, image))
    assert windows_of(visit) == set()
    page.mouse.up()
    for image in images:
        expect(image).to_have_js_property("style.filter", "")
    until(page, lambda: windows_of(visit) != set())
    (window,) = windows_of(visit)
    assert window[0] > 0.5
    assert window[1] < 1
    expect(page.get_by_label("Width").first).not_to_have_value("1")
    page.get_by_role("button", name="Reset the window").click()
    expect(page.get_by_label("Width").first).to_have_value("1")


def test_a_window_is_written_as_numbers_and_stays_while_frames_are_scrolled(
    visit: Visit, studies: Studies
) -> None:
    shown(visit, studies.old("brain-mr")[0])
    width = visit.example().get_by_label("Width")
    width.fill("0.5")
    width.press("Enter")
    expect(visit.example().get_by_label("Preset")).to_have_value("changed")
    visit.example().get_by_label("Frame", exact=True).fill("5")
    until(visit.page, lambda: windows_of(visit) == {(0.5, 0.5)})
    width.fill("-3")
    width.press("Enter")
    expect(width).to_have_value("0.5")


def test_a_ct_has_presets_in_hounsfield_units_for_example_and_matches(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("abdomen-ct")[0])
    preset = visit.example().get_by_label("Preset")
    assert preset.locator("option").all_inner_texts() == ["As stored", "Lung", "Bone", "Soft tissue", "Brain"]
    preset.select_option("lung")
    until(visit.page, lambda: len(windowed(visit)) >= 3)
    assert windows_of(visit) == {(-600, 1500)}
    visit.matches.first.locator(".match-picture").click()
    dialog = visit.page.locator("#compare")
    expect(dialog.get_by_label("Preset")).to_have_value("lung")
    for figure in dialog.locator("figure").all():
        wait_for_picture(figure)
    assert windows_of(visit) == {(-600, 1500)}


def test_other_modalities_have_no_presets_in_hounsfield_units(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("chest-cr")[0])
    assert visit.example().get_by_label("Preset").locator("option").all_inner_texts() == ["As stored"]


# Maps


def painted(canvas: Locator) -> bool:
    """Whether anything is drawn on a canvas."""
    return bool(
        canvas.evaluate(
            """canvas => !canvas.hidden && canvas.getContext("2d")
                 .getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)"""
        )
    )


def test_where_frames_are_alike_is_drawn_over_matches_and_over_both_pictures_of_the_comparison(
    visit: Visit, studies: Studies
) -> None:
    shown(visit, studies.old("brain-mr")[0])
    row = visit.matches.first
    wait_for_picture(row)
    expect(row.locator(".map")).to_be_hidden()
    visit.page.get_by_role("button", name="Where alike").click()
    expect(row.locator(".map")).to_be_visible()
    assert painted(row.locator(".map"))
    row.locator(".match-picture").click()
    dialog = visit.page.locator("#compare")
    expect(dialog.locator(".map:visible")).to_have_count(2)
    assert all(painted(canvas) for canvas in dialog.locator(".map").all())
    for figure in dialog.locator("figure").all():
        wait_for_picture(figure)
    # The keys go through the frames once these are known.
    expect(dialog.locator("figure").last.locator(".position")).to_have_text(re.compile(r"\d/6"))
    first = dialog.locator(".map").last.evaluate("canvas => canvas.toDataURL()")
    visit.page.keyboard.press("ArrowDown")
    expect(dialog.locator("figure").last.locator(".map")).to_be_visible()
    last = dialog.locator(".map").last
    until(visit.page, lambda: last.evaluate("canvas => canvas.toDataURL()") != first)
    dialog.get_by_role("button", name="Where alike").click()
    expect(dialog.locator(".map:visible")).to_have_count(0)


def test_the_maps_of_an_upload_come_with_its_answer(visit: Visit, studies: Studies) -> None:
    visit.go()
    visit.drop(*studies.new("chest-cr").paths)
    visit.matched()
    visit.page.get_by_role("button", name="Where alike").click()
    expect(visit.matches.first.locator(".map")).to_be_visible()
    assert painted(visit.matches.first.locator(".map"))
    assert not [request for request in visit.requests if "api/maps" in request.url]


def test_a_map_that_cannot_be_made_is_told_and_the_page_goes_on(
    visit: Visit, house: Furnished, studies: Studies
) -> None:
    shown(visit, studies.old("brain-mr")[0])
    house.encoder.unavailable = True
    visit.page.get_by_role("button", name="Where alike").click()
    expect(visit.page.locator("#toast")).to_contain_text("The map could not be made")
    expect(visit.page.get_by_role("button", name="Where alike")).to_have_attribute("aria-pressed", "false")


# The comparison


def test_the_comparison_goes_through_matches_and_frames_by_keys(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("brain-mr")[0])
    visit.matches.first.locator(".match-picture").click()
    dialog = visit.page.locator("#compare")
    prior = dialog.locator("figure").last
    expect(prior.locator(".position")).to_have_text(re.compile(r"\d/6"))
    before = prior.locator(".position").inner_text()
    visit.page.keyboard.press("ArrowDown" if before != "6/6" else "ArrowUp")
    expect(prior.locator(".position")).not_to_have_text(before)
    visit.page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("Case 2 of 10")
    visit.page.keyboard.press("ArrowLeft")
    visit.page.keyboard.press("ArrowLeft")
    expect(dialog).to_contain_text("Case 1 of 10")
    own = dialog.locator("figure").first
    expect(own.locator(".position")).to_have_text(re.compile(r"\d/6"))
    own.get_by_label("Frame", exact=True).fill("2")
    expect(own.locator(".position")).to_have_text("2/6")


def test_the_window_is_dragged_in_the_comparison_too(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("chest-cr")[0])
    visit.matches.first.locator(".match-picture").click()
    figures = visit.page.locator("#compare figure")
    for figure in figures.all():
        wait_for_picture(figure)
    drag(visit.page, figures.last.locator(".stage"), (0.5, 0.5), (0.4, 0.5))
    until(visit.page, lambda: windows_of(visit) != set())
    (window,) = windows_of(visit)
    assert window[1] < 1
    for figure in figures.all():
        expect(figure.locator("img")).to_have_js_property("style.filter", "")


def test_the_likeness_of_a_comparison_is_the_one_of_its_row(visit: Visit, studies: Studies) -> None:
    shown(visit, studies.old("chest-cr")[0])
    raw = visit.matches.nth(2).locator(".raw").inner_text()
    visit.matches.nth(2).locator(".match-picture").click()
    expect(visit.page.locator("#compare .raw")).to_have_text(raw)


# Opening


def test_a_match_is_opened_in_the_usual_viewer_and_others_stand_in_a_menu(
    house: Furnished, page: Page, studies: Studies
) -> None:
    links = Links("http://127.0.0.1:8042", "ORTHANC", tuple(PRESETS.values()))
    with served(house.app(ApiSettings(links=links))) as url:
        visit = visit_of(page, url)
        shown(visit, studies.old("chest-cr")[0])
        row = visit.matches.first
        expect(row.get_by_role("link", name="Open", exact=True)).to_have_attribute("target", "_blank")
        menu = row.locator(".menu")
        menu.locator("summary").focus()
        page.keyboard.press("Enter")
        items = menu.get_by_role("link")
        expect(items.first).to_be_visible()
        assert items.count() == len(PRESETS) - 1
        page.keyboard.press("Tab")
        expect(items.first).to_be_focused()
        page.keyboard.press("Escape")
        expect(items.first).to_be_hidden()
        expect(menu.locator("summary")).to_be_focused()
        assert not visit.complaints
