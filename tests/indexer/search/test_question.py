"""What can be asked, and what is refused before anything is looked at."""

from __future__ import annotations

import pytest

from indexer.errors import Rejected
from indexer.search import ExampleReference
from tests.indexer.search.world import about


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"study_instance_uid": "1", "series_instance_uid": "2"},
        {"study_instance_uid": "1", "frame_number": 1},
    ],
)
def test_an_example_is_named_by_exactly_one_uid(named: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        ExampleReference(**named)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(Rejected, match="limit"):
        about("1", limit=limit)
