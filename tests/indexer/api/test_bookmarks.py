"""A caller who may not see everything pages through what she may, and learns nothing of the rest."""

from __future__ import annotations

import pytest

from indexer.api.bookmarks import Bookmarks
from indexer.errors import Rejected
from tests.fakes.house import Furnished
from tests.indexer.api.asking import asked
from tests.indexer.api.test_door import ANNA, FORWARDED, SECRET
from tests.indexer.conftest import Studies


def test_a_word_stands_for_its_place_and_tells_nothing_of_it() -> None:
    bookmarks = Bookmarks(kept=2)
    words = [bookmarks.put(f"place {number}") for number in range(3)]
    assert bookmarks.find(words[2]) == "place 2"
    assert all("place" not in word for word in words)
    with pytest.raises(Rejected, match="first page"):
        bookmarks.find(words[0])


def test_pages_lead_to_every_study_that_she_may_see(house: Furnished, studies: Studies) -> None:
    shown = [study.study_instance_uid for study in studies.indexed[::4]]
    for study in shown:
        for series in house.archive.series_of_study(study):
            house.archive.show(series.archive_id, ANNA)
    with asked(house, plugin_secret=SECRET) as client:
        client.headers.update(FORWARDED)
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = client.get("/api/studies", params={"limit": "1", **cursor}).json()
            found += [study["study_instance_uid"] for study in page["studies"]]
            if page["next_cursor"] is None:
                break
            assert len(page["next_cursor"]) < 30, "a cursor of the ledger names a study"
            cursor = {"cursor": page["next_cursor"]}
    assert sorted(found) == sorted(shown)
