"""Fixtures that several rooms share: the real Orthanc, the real browser, the real PostgreSQL."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cbir.logs import CHATTY, QUOTING
from demo.orthanc import LocalOrthanc, OrthancMissing, find_orthanc
from tests.browser import TIMEOUT_MS, opened
from tests.postgresql import Cluster, NotInstalledError, cluster

StartOrthanc = Callable[..., LocalOrthanc]

TESTS = Path(__file__).parent
SLOW = ("integration", "demo", "deployment")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_MS = 180_000

# Hypothesis draws the same examples each time, and sets no example a time that a busy machine could break.
hypothesis.settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders whose tests take minutes come first: of several processes none is left alone with them."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in SLOW)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that want the benchmark images run where CBIR_TEST_DATA names them."""
    if item.get_closest_marker("shared_data") and not os.environ.get("CBIR_TEST_DATA"):
        pytest.skip("CBIR_TEST_DATA names no benchmark images")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that a test calls sets up the log of its process, which is the log of later tests too."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in (*QUOTING, *CHATTY)}
    yield
    root.handlers, threading.excepthook = handlers, hook
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


@pytest.fixture(scope="session")
def orthanc_binary() -> Path:
    """The Orthanc of this machine: promised by CBIR_REQUIRE_ORTHANC=1, else the test is skipped."""
    try:
        binary, _ = find_orthanc()
    except OrthancMissing as missing:
        if os.environ.get("CBIR_REQUIRE_ORTHANC") == "1":
            pytest.fail(f"CBIR_REQUIRE_ORTHANC=1 promises an Orthanc: {missing}")
        pytest.skip(str(missing))
    return binary


@pytest.fixture
def start_orthanc(orthanc_binary: Path, tmp_path: Path) -> Iterator[StartOrthanc]:
    """Start private Orthancs that end with the test; the arguments are those of LocalOrthanc."""
    running: list[LocalOrthanc] = []

    def start(**options: Any) -> LocalOrthanc:  # noqa: ANN401 - whatever LocalOrthanc takes
        folder = tmp_path / f"orthanc-{len(running)}"
        orthanc = LocalOrthanc(folder, **options)
        running.append(orthanc)
        orthanc.restart()
        return orthanc

    yield start
    for orthanc in running:
        orthanc.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: promised by CBIR_REQUIRE_BROWSER=1, else the test is skipped."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CBIR_REQUIRE_BROWSER") == "1":
            pytest.fail("CBIR_REQUIRE_BROWSER=1 promises a Chromium: apt-get install chromium")
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS, timeout=START_MS)
        expect.set_options(timeout=TIMEOUT_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server of our own: promised by CBIR_REQUIRE_POSTGRESQL=1, else the test is skipped."""
    try:
        with cluster() as running:
            yield running
    except NotInstalledError as missing:
        if os.environ.get("CBIR_REQUIRE_POSTGRESQL") == "1":
            pytest.fail(f"CBIR_REQUIRE_POSTGRESQL=1, but: {missing}")
        pytest.skip(str(missing))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened(browser, viewport={"width": 1400, "height": 900}, locale="en-GB") as page:
        yield page
