"""The page says and draws what the contact sheet says and draws: words, bars, lines, and how long before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from indexer.answers.canvas import Box, Canvas
from indexer.answers.chronology import when
from indexer.answers.sheet_words import words_in
from indexer.answers.words import (
    Language,
    in_words,
    likeness_of_percent,
    more_alike_than,
    percentage,
    share_of_bar,
)
from indexer.domain import MatchMap, Region
from indexer.ledger import Background
from indexer.search.judging import Judge
from tests.browser import Visit, visit_of, wait_for_picture
from tests.fakes.house import Furnished, served
from tests.indexer.conftest import Studies

pytestmark = pytest.mark.browser

LANGUAGES: tuple[Language, ...] = ("en", "fr")
PERCENTS = [0, 12.5, 79.6, 79.999, 80, 94.6, 94.999, 95, 98.7, 98.999, 99, 99.4, 99.89, 99.9, 99.95, 100]
PAIRS = Background(
    "", "", 5000, np.linspace(-1, 1, 1001, dtype=np.float32), np.linspace(0, 1, 51, dtype=np.float32)
)

# Words


def test_percentages_are_rounded_down_and_fill_the_bar_as_on_the_sheet(visit: Visit) -> None:
    visit.go()
    said = visit.page.evaluate(
        """async (percents) => {
          const { percentage, shareOfBar } = await import("./web/likeness.js");
          const { speak } = await import("./web/language.js");
          const texts = ["en", "fr"].map((language) => (speak(language), percents.map(percentage)));
          return { texts, bars: percents.map(shareOfBar) };
        }""",
        PERCENTS,
    )
    for language, texts in zip(LANGUAGES, said["texts"], strict=True):
        assert texts == [percentage(min(percent, 99.9), language) for percent in PERCENTS]
    assert said["bars"] == pytest.approx([share_of_bar(percent) for percent in PERCENTS])
    told = dict(zip(PERCENTS, said["texts"][0], strict=True))
    assert [told[percent] for percent in (79.6, 94.6, 98.7, 99.95)] == ["79", "94", "98", "99.9"]
    for percent, text in told.items():
        assert likeness_of_percent(float(text)) is likeness_of_percent(min(percent, 99.9))


def words_of(visit: Visit, language: Language) -> dict[str, str]:
    script = "async (path) => (await import(path)).default"
    return dict(visit.page.evaluate(script, f"./web/words_{language}.js"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_and_the_sheet_say_the_same(visit: Visit, language: Language) -> None:
    visit.go()
    page, sheet = words_of(visit, language), words_in(language)
    assert page["app.notice"] == sheet.not_for_diagnosis
    assert plain(page["app.notice.why"]) == plain(sheet.by_what_was_asked)
    assert plain(page["legend.region"]) == plain(sheet.legend_region)
    for pairs in ("body_part", "modality", "archive"):
        said = page[f"likeness.of.{pairs}"].replace("{percent}", percentage(87, language))
        assert said == more_alike_than(87, language, pairs)
    for percent in PERCENTS:
        step = likeness_of_percent(percent)
        assert page[f"likeness.{step}"] == in_words(step, language)


def plain(text: str) -> str:
    return text.lower().rstrip(".").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


DAYS = [date(2024, 1, 31), date(2024, 1, 1), date(2023, 12, 2), date(2023, 11, 15), date(2023, 1, 31)]
DAYS += [date(2022, 9, 1), date(2022, 1, 31), date(2014, 6, 1), date(2024, 2, 29), date(2027, 3, 1)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_long_before_is_told_as_on_the_sheet(visit: Visit, language: Language) -> None:
    visit.go()
    said = visit.page.evaluate(
        """async ([language, days, from]) => {
          const { speak } = await import("./web/language.js");
          const { ago } = await import("./web/wording.js");
          speak(language);
          return days.map((day) => ago(day, from));
        }""",
        [language, [day.isoformat() for day in DAYS], DAYS[0].isoformat()],
    )
    assert said == [when(day, DAYS[0], "relative", language) for day in DAYS]


# What is hardly alike


@pytest.fixture
def judged(house: Furnished, page: Page) -> Iterator[Visit]:
    """A house that knows enough pairs to tell percentages."""
    house.judge = Judge(background=lambda _, modality, __: replace(PAIRS, modality=modality))
    with served(house.app()) as url:
        visit = visit_of(page, url)
        yield visit
        assert not visit.complaints


def test_what_is_hardly_alike_or_of_another_kind_stands_below_a_line_and_is_not_counted(
    judged: Visit, studies: Studies
) -> None:
    judged.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    judged.matched()
    above, below = (judged.page.locator(f"ol.matches{part}") for part in (":not(.hardly)", ".hardly"))
    alike, hardly = (place.locator("li.match").count() for place in (above, below))
    assert alike and hardly and alike + hardly == 10
    cases = "case" if alike == 1 else "cases"
    expect(judged.page.locator("h1")).to_have_text(f"{alike} similar {cases}, {hardly} hardly alike")
    expect(judged.page.get_by_role("heading", name="From here hardly alike")).to_be_visible()
    for row in above.locator("li.match").all():
        expect(row.locator("h2")).to_contain_text("CR")
        expect(row.locator(".likeness")).not_to_contain_text("hardly alike")
    for row in below.locator("li.match").all():
        is_projection = row.locator("h2").inner_text().startswith("CR")
        expect(row.locator("b")).to_have_text("hardly alike" if is_projection else "another kind of image")
    ranks = [int(rank) for rank in judged.page.locator(".rank").all_inner_texts()]
    assert sorted(ranks) == list(range(1, 11))
    below.locator(".match-picture").first.click()
    expect(judged.page.locator("#compare-title")).to_have_text(f"Case {ranks[alike]} of 10")


def test_what_was_asked_for_beside_likeness_is_not_below_a_line(judged: Visit, studies: Studies) -> None:
    """As on the sheet: kinds that were asked for are no other ones, chosen cases and words move the ranks."""
    judged.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    judged.matched()
    content, hardly = judged.page.locator("#content"), judged.page.locator("ol.matches.hardly")
    expect(content).to_contain_text("another kind of image")
    modality = judged.page.get_by_label("Modality", exact=True).and_(judged.page.locator("input"))
    modality.fill("CT")
    modality.press("Enter")
    expect(judged.matches).to_have_count(3)
    expect(content).not_to_contain_text("another kind of image")
    judged.page.get_by_role("button", name="Reset", exact=True).click()
    expect(judged.matches).to_have_count(10)
    hardly.locator("li.match").first.get_by_role("button", name="More like this").click()
    expect(hardly).to_have_count(0)
    expect(judged.page.locator("h1")).to_have_text(re.compile(r"^\d+ best answers$"))
    expect(content).to_contain_text("another kind of image")
    ranks = [int(rank) for rank in judged.page.locator(".rank").all_inner_texts()]
    assert ranks == sorted(ranks)
    assert judged.questions()[-1]["more"]


def test_where_nothing_is_alike_the_heading_says_so(house: Furnished, page: Page, studies: Studies) -> None:
    nothing = np.linspace(0.9999, 1, 1001, dtype=np.float32)
    pairs = Background("", "", 5000, nothing, nothing[:51] - 1)
    house.judge = Judge(background=lambda _, modality, __: replace(pairs, modality=modality))
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go(f"/?study={studies.old('abdomen-ct')[0].study_instance_uid}")
        visit.matched()
        expect(page.locator("h1")).to_have_text("No similar case, 10 hardly alike")
        expect(page.locator("ol.matches")).to_have_count(1)


def test_a_bar_is_filled_as_on_the_sheet(judged: Visit, studies: Studies) -> None:
    judged.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    judged.matched()
    asked = judged.page.evaluate(
        "async (question) => (await fetch('api/search', question)).json()", post(judged)
    )
    first, shown = asked["matches"][0], judged.matches.first
    filled = shown.locator(".bar-fill").evaluate("bar => bar.offsetWidth / bar.parentElement.offsetWidth")
    assert filled == pytest.approx(share_of_bar(first["percent"]), abs=0.02)


def post(visit: Visit) -> dict[str, Any]:
    """The last question, to be asked again."""
    sent = [request for request in visit.requests if request.url.endswith("/api/search")][-1]
    headers = {"Content-Type": "application/json", "X-CBIR-Request": "1"}
    return {"method": "POST", "headers": headers, "body": sent.post_data}


def test_a_score_that_is_not_calibrated_has_no_bar(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
    visit.matched()
    expect(visit.matches.first.locator(".likeness")).to_have_text("score 1.00 (not calibrated)")
    expect(visit.page.locator(".bar")).to_have_count(0)


def test_a_percentage_of_all_pairs_has_neither_word_nor_bar(
    house: Furnished, page: Page, studies: Studies
) -> None:
    house.judge = Judge(background=lambda *_: PAIRS)
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go(f"/?study={studies.old('chest-cr')[0].study_instance_uid}")
        visit.matched()
        for row in visit.matches.all():
            expect(row.locator(".percent")).to_contain_text("of all pairs")
        expect(page.locator(".bar, ol.matches:not(.hardly) .likeness b")).to_have_count(0)
        assert not visit.complaints


# Lines around what is alike


DRAW = """
async ([map, width, height]) => {
  const { contour } = await import("./web/contour.js");
  return [...contour(map, width, height).data];
}
"""


def drawn(visit: Visit, alike: MatchMap, width: int, height: int) -> NDArray[np.uint8]:
    """uint8 RGBA (height, width, 4), as the page draws a map."""
    rows, columns = alike.values.shape
    area = {side: getattr(alike.area, side) for side in ("left", "top", "width", "height")}
    wire = {"rows": rows, "columns": columns, "values": alike.values.tolist(), "area": area}
    pixels = visit.page.evaluate(DRAW, [wire, width, height])
    return np.array(pixels, dtype=np.uint8).reshape(height, width, 4)


@pytest.mark.parametrize(
    "area", [Region(0, 0, 1, 1), Region(-0.25, 0, 1.5, 1), Region(0.125, 0.125, 0.75, 0.75)]
)
def test_a_map_is_drawn_as_on_the_sheet(visit: Visit, area: Region) -> None:
    visit.go()
    values = np.random.default_rng(7).random((8, 8), dtype=np.float32)
    alike = MatchMap(values=values, area=area)
    canvas = Canvas(192, 160)
    canvas.pixels[...] = 120
    canvas.contour(Box(0, 0, 192, 160), alike)
    seen = drawn(visit, alike, 192, 160).astype(np.float32)
    over = seen[..., 3:] / 255
    composed = 120 * (1 - over) + seen[..., :3] * over
    assert np.abs(composed - canvas.pixels).mean() < 2


def test_a_map_hides_nothing_inside_and_draws_nothing_where_frames_are_not_alike(visit: Visit) -> None:
    visit.go()
    values = np.zeros((8, 8), dtype=np.float32)
    values[2:6, 2:6] = 1
    opacity = drawn(visit, MatchMap(values=values, area=Region(0, 0, 1, 1)), 256, 256)[..., 3] / 255
    assert 0.1 < opacity[128, 128] < 0.3
    assert opacity[:40].max() == 0
    assert opacity.max() > 0.6, "there is no line"
    assert (opacity > 0.3).mean() < 0.15, "the line is no thin one"


def test_the_legend_is_shown_while_a_map_is(visit: Visit, studies: Studies) -> None:
    visit.go(f"/?study={studies.old('brain-mr')[0].study_instance_uid}")
    visit.matched()
    wait_for_picture(visit.matches.first)
    legend = visit.page.get_by_text("coarse: where the two look alike")
    expect(legend).to_be_hidden()
    visit.page.get_by_role("button", name="Where alike").click()
    expect(legend).to_be_visible()
    visit.matches.first.locator(".match-picture").click()
    expect(visit.page.locator("#compare").get_by_text("coarse: where")).to_be_visible()
