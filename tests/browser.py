"""A person at a browser: what she opens, drops and sees, and what her browser complains about."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

TIMEOUT_MS = 60_000
"""What a page on a busy machine may take; where all is well nobody waits for it."""
LOADING = re.compile(r"\bloading\b")
# What is in view is asked as the page asks it before it fetches a picture.
SETTLED = """
() => new Promise((resolve) => {
  if (document.getElementById("content").ariaBusy === "true") return resolve(false);
  const awaited = document.querySelectorAll(".waiting, .loading, .frames:empty");
  if (!awaited.length) return resolve(true);
  const seen = new IntersectionObserver((entries) => {
    seen.disconnect();
    resolve(!entries.some((entry) => entry.isIntersecting));
  });
  for (const node of awaited) seen.observe(node);
})
"""
DROP = """
([files, folder]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  const event = (kind) => new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event("dragenter"));
  const shown = !document.getElementById("drop").hidden;
  document.body.dispatchEvent(event("dragover"));
  document.body.dispatchEvent(event("drop"));
  return shown;
}
"""


@dataclass
class Visit:
    """A page at an address, with everything it complained about and asked for."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - marked by it

    def go(self, path: str = "") -> None:
        self.page.goto(self.url + path)

    def drop(self, *paths: Path) -> None:
        files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
        assert self.page.evaluate(DROP, [files, None]), "no sign that something may be dropped"

    def questions(self) -> list[dict[str, Any]]:
        """What was asked with POST /api/search, in order."""
        asked = [request for request in self.requests if request.url.endswith("/api/search")]
        return [json.loads(request.post_data or "") for request in asked]

    def example(self) -> Locator:
        return self.page.locator("#example")

    @property
    def matches(self) -> Locator:
        return self.page.locator("ol.matches > li.match")

    @property
    def tiles(self) -> Locator:
        return self.page.locator(".studies .tile-link")

    def matched(self) -> list[str]:
        expect(self.matches.first).to_be_visible()
        return [str(match.get_attribute("data-study")) for match in self.matches.all()]

    def _hear(self, message: ConsoleMessage) -> None:
        refused = "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not refused:
            self.complaints.append(message.text)


def visit_of(page: Page, url: str) -> Visit:
    visit = Visit(page, url)
    visit.listen()
    return visit


def faults_of(page: Page) -> list[str]:
    """What axe finds serious or critical on a page as it stands: rule, and where."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - as Browser.new_context
    """A page in a browser of its own, which has time."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def until(page: Page, happened: Callable[[], bool], timeout_s: float = TIMEOUT_MS / 1000) -> None:
    """Wait for what the page does by itself; what its browser tells arrives meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        page.wait_for_timeout(20)


def drag(page: Page, place: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a place, from and to fractions of its width and height."""
    box = place.bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*[sum(pair) / 2 for pair in zip(*points, strict=True)])
    page.mouse.move(*points[1])
    page.mouse.up()


def picture_of(place: Locator) -> Locator:
    return place.locator(".picture img").first


def wait_for_picture(place: Locator) -> None:
    """Wait until the picture there is shown, and the page has done what it does with one that has come."""
    image = picture_of(place)
    expect(image).to_be_visible()
    expect(image.locator("..")).not_to_have_class(LOADING)
    until(place.page, lambda: bool(image.evaluate("image => image.complete && image.naturalWidth > 0")))


def settle(page: Page) -> None:
    """Wait until the page has its answer, and every picture and every row of frames that is in view."""
    until(page, lambda: bool(page.evaluate(SETTLED)))
