"""The page for everybody: by keys, in both languages, dark and light, with assistance, on a slow line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from indexer.api.page import WEB
from indexer.ledger import Background
from indexer.search.judging import Judge
from tests.browser import Visit, faults_of, opened, settle, visit_of, wait_for_picture
from tests.fakes.house import Furnished, served
from tests.indexer.api.test_sending import with_sending
from tests.indexer.conftest import Studies

pytestmark = pytest.mark.browser

BUDGET_BYTES = 73_728
"""Of the page itself, as it travels, before any picture."""
PAIRS = Background(
    "", "", 5000, np.linspace(-1, 1, 1001, dtype=np.float32), np.linspace(0, 1, 51, dtype=np.float32)
)

Step = Callable[[Page], None]


def about(studies: Studies, family: str) -> str:
    return f"/?study={studies.old(family)[0].study_instance_uid}"


# Assistance


@pytest.fixture
def full_house(house: Furnished) -> Furnished:
    """One that offers everything that the page has a place for."""
    house.languages = ("en", "fr")
    house.judge = Judge(background=lambda *_: PAIRS)
    with_sending(house)
    return house


def compared(page: Page) -> None:
    page.locator(".match-picture").first.click()
    for figure in page.locator("#compare figure").all():
        wait_for_picture(figure)
    page.get_by_role("button", name="Where alike").last.click()
    expect(page.locator("#compare .map:visible")).to_have_count(2)


def region_drawn(page: Page) -> None:
    page.get_by_role("button", name="Region", exact=True).click()
    page.keyboard.press("ArrowRight")


def refined(page: Page) -> None:
    page.get_by_role("button", name="More like this").first.click()
    expect(page.locator(".chip")).to_have_count(1)
    page.get_by_label("Same patient too").check()
    expect(page.locator(".lane")).to_be_visible()
    page.locator(".references summary").first.click()


def sending(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.locator("#send").get_by_role("checkbox")).to_have_count(10)


def helped(page: Page) -> None:
    page.get_by_role("button", name="Help").click()


def nothing(page: Page) -> None:
    expect(page.locator("#content")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_in_any_state(
    full_house: Furnished, page: Page, studies: Studies, theme: str
) -> None:
    # A button that is still changing its colour has one that nobody chose.
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    states: dict[str, tuple[str, Step]] = {
        "studies": ("/", nothing),
        "matches": (about(studies, "brain-mr"), nothing),
        "region": (about(studies, "brain-mr"), region_drawn),
        "compared": (about(studies, "abdomen-ct"), compared),
        "refined": (about(studies, "chest-cr"), refined),
        "sending": (about(studies, "chest-cr"), sending),
        "help": ("/", helped),
        "not found": ("/?study=1.2.3", nothing),
        "API": ("/docs", nothing),
    }
    found = {}
    with served(full_house.app()) as url:
        visit = visit_of(page, url)
        for name, (path, step) in states.items():
            visit.go(path)
            settle(page)
            step(page)
            settle(page)
            assert page.evaluate("document.documentElement.dataset.theme") == theme
            found[name] = faults_of(page)
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert not visit.complaints


def focused(page: Page) -> str:
    """What has the focus, as a person hears it."""
    script = "(({ ariaLabel, textContent }) => ariaLabel ?? textContent.trim())(document.activeElement)"
    return str(page.evaluate(script))


def tab_to(page: Page, name: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"{name} is not reached by the Tab key; the focus is on {focused(page)!r}")


def ask_with_a_region(page: Page) -> None:
    """From the matches back to the example, by keys."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if focused(page) == "Region":
            break
    else:
        raise AssertionError(f"Region is not reached; the focus is on {focused(page)!r}")
    for key in ("Enter", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
    expect(page.locator("#content")).to_be_focused()


def compare_and_come_back(page: Page) -> None:
    tab_to(page, "Compare case 1")
    page.keyboard.press("Enter")
    expect(page.locator("#compare")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#compare")).to_contain_text("Case 2")
    page.keyboard.press("Escape")
    expect(page.locator("#compare")).to_be_hidden()
    assert focused(page).startswith("Compare case 1")


def test_the_whole_walk_is_done_by_keys_alone(full_house: Furnished, page: Page, studies: Studies) -> None:
    """A study is picked, a region drawn and asked with, a match compared, refined by, and sent."""
    keys = page.keyboard
    with served(full_house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        expect(visit.tiles).to_have_count(len(studies.indexed))
        keys.press("Tab")
        assert focused(page) == "Skip to the cases"
        for key in ("Enter", "Tab", "Enter"):
            keys.press(key)
        visit.matched()
        expect(page.locator("#content")).to_be_focused()
        settle(page)
        ask_with_a_region(page)
        settle(page)
        compare_and_come_back(page)
        tab_to(page, "More like this")
        keys.press("Enter")
        expect(page.locator(".chip")).to_have_count(1)
        expect(page.locator("#content")).to_be_focused()
        expect(page.get_by_role("button", name="Send …")).to_be_visible()
        settle(page)
        tab_to(page, "Send")
        keys.press("Enter")
        expect(page.locator("#send")).to_be_visible()
        keys.press("Escape")
        expect(page.locator("#send")).to_be_hidden()
        assert not visit.complaints


# Languages


def test_both_languages_have_the_same_words_with_the_same_places(visit: Visit) -> None:
    visit.go()
    english, french = (
        visit.page.evaluate("async (path) => (await import(path)).default", f"./web/words_{language}.js")
        for language in ("en", "fr")
    )
    assert english.keys() == french.keys()

    def places(words: str | dict[str, str]) -> set[str]:
        return set(re.findall(r"\{\w+\}", words if isinstance(words, str) else words["other"]))

    assert {key for key in english if places(english[key]) != places(french[key])} == set()
    assert {key for key in english if isinstance(english[key], str) != isinstance(french[key], str)} == set()


def test_every_word_that_the_page_asks_for_is_there_and_none_is_left_over(visit: Visit) -> None:
    visit.go()
    words = set(visit.page.evaluate("async () => Object.keys((await import('./web/words_en.js')).default)"))
    sources = "\n".join(
        path.read_text()
        for path in WEB.iterdir()
        if path.suffix in (".js", ".html") and path.name not in ("words_en.js", "words_fr.js")
    )
    asked = set(re.findall(r'"([a-z]+(?:\.[a-z0-9_]+)+)"', sources))
    built = (
        "likeness.",
        "refused.",
        "problem.",
        "plane.",
        "sequence.",
        "window.",
        "chosen.",
        "match.",
        "filters.",
        "list.",
        "example.",
        "state.",
        "when.",
    )
    assert {word for word in words if word not in asked and not word.startswith(built)} == set()
    named = set(re.findall(r'\bt\("([^"$]+)"', sources)) | set(
        re.findall(r'data-t(?:-\w+)?="([^"]+)"', sources)
    )
    assert named <= words


def test_the_browsers_language_is_spoken_and_another_choice_is_remembered(
    house: Furnished, browser: Browser, studies: Studies
) -> None:
    french = opened(browser, locale="fr-FR", viewport={"width": 1300, "height": 850})
    with served(house.app()) as url, french as page:
        visit = visit_of(page, url)
        visit.go(about(studies, "brain-mr"))
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        expect(page.locator("h1")).to_have_text(re.compile(r"^\d cas semblables, \d peu ressemblants$"))
        expect(page.get_by_text("Ne pas utiliser pour le diagnostic").first).to_be_visible()
        page.get_by_role("button", name="Passer à l").click()
        expect(page.locator("h1")).to_have_text(re.compile(r"^\d similar cases, \d hardly alike$"))
        expect(page.locator("html")).to_have_attribute("lang", "en")
        assert len(visit.questions()) == 1, "another language is no other question"
        visit.go(about(studies, "chest-cr"))
        expect(page.locator("h1")).to_have_text(re.compile(r"^\d similar cases, \d hardly alike$"))
        visit.go(about(studies, "chest-cr") + "&lang=fr")
        expect(page.locator("h1")).to_have_text(re.compile(r"^\d cas semblables, \d peu ressemblants$"))
        visit.go("/?lang=fr")
        expect(page.locator("h1")).to_have_text("Examens indexés")
        assert not visit.complaints


# Light and dark


def test_the_persons_preference_is_followed_until_another_is_chosen_and_remembered(visit: Visit) -> None:
    page = visit.page

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    visit.go()
    light = ground()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert ground() != light
    page.get_by_role("button", name="Light or dark").click()
    assert ground() == light
    page.reload()
    assert ground() == light


# A slow line and a small screen


def test_the_page_is_small(visit: Visit) -> None:
    finished: list[Request] = []
    visit.page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108 - marked by it
    visit.go()
    expect(visit.tiles.first).to_be_visible()
    settle(visit.page)
    sizes = [request.sizes()["responseBodySize"] for request in finished if "/api/" not in request.url]
    assert len(sizes) > 20
    assert sum(sizes) < BUDGET_BYTES


def test_what_the_browser_has_is_not_sent_again(visit: Visit) -> None:
    asked = visit.page.request
    path = f"{visit.url}/web/page.js"
    first = asked.get(path)
    assert asked.get(path, headers={"If-None-Match": first.headers["etag"]}).status == 304
    assert asked.get(path, headers={"If-None-Match": '"other"'}).body() == first.body()
    plain = asked.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.body() == (WEB / "page.js").read_bytes() == first.body()


def test_every_module_is_announced_so_that_none_waits_for_another() -> None:
    announced = set(re.findall(r'modulepreload" href="web/([^"]+)"', (WEB / "index.html").read_text()))
    modules = {path.name for path in WEB.glob("*.js")} - {"docs.js", "theme.js", "page.js"}
    assert announced == modules


def test_every_stylesheet_and_module_is_used() -> None:
    pages = (WEB / "index.html").read_text() + (WEB / "docs.html").read_text()
    modules = {path: path.read_text() for path in WEB.glob("*.js")}
    for path in WEB.glob("*.css"):
        assert f"web/{path.name}" in pages
    for path in modules:
        used = any(f'"./{path.name}"' in text for other, text in modules.items() if other != path)
        assert used or f'src="web/{path.name}"' in pages, path.name


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with opened(
        browser, viewport={"width": 390, "height": 844}, locale="en-GB", has_touch=True, is_mobile=True
    ) as page:
        yield page


def test_on_a_phone_everything_is_there_and_nothing_runs_out(
    full_house: Furnished, phone: Page, studies: Studies, tmp_path: Path
) -> None:
    with served(full_house.app()) as url:
        visit = visit_of(phone, url)
        for path in ("", about(studies, "brain-mr"), about(studies, "brain-mr") + "&lang=fr"):
            visit.go(path)
            settle(phone)
            assert phone.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
            expect(phone.locator(".notice").first).to_be_visible()
        phone.locator(".match-picture").first.tap()
        expect(phone.locator("#compare")).to_be_visible()
        assert phone.evaluate("document.querySelector('#compare').scrollWidth - innerWidth") <= 0
        assert not visit.complaints
