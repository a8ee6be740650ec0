"""A client of the API, and a person at the page, of a house on fakes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser import Visit, visit_of
from tests.fakes.house import Furnished, served
from tests.indexer.api.asking import asked


@pytest.fixture
def client(house: Furnished) -> Iterator[httpx.Client]:
    with asked(house) as client:
        yield client


@pytest.fixture
def visit(house: Furnished, page: Page) -> Iterator[Visit]:
    """The page complains of nothing and asks nobody else, whatever is done with it."""
    with served(house.app()) as url:
        visit = visit_of(page, url)
        yield visit
        assert not visit.complaints
        assert all(request.url.startswith((url, "blob:", "data:")) for request in visit.requests)
