"""What is shown to whom."""

from __future__ import annotations

import pytest

from indexer.errors import NotFound
from indexer.ports import Caller
from tests.indexer.search.world import TRUSTED, World, about, studies


def test_a_caller_sees_only_what_the_archive_would_show_her(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    caller = Caller("someone", credentials)
    for study in ("1", "2", "3"):
        world.add_shown(study, (1, 0, 0), credentials)
    world.add("4", (1, 0, 0))
    assert studies(world, about("1"), caller) == ["2", "3"]
    with pytest.raises(NotFound):
        studies(world, about("4"), caller)


def test_what_a_caller_may_not_see_does_not_use_up_her_matches(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    world.add_shown("example", (1, 0, 0), credentials)
    for number in range(30):
        world.add(f"hidden-{number}", (1, 0, 0))
    for number in range(3):
        world.add_shown(f"shown-{number}", (0, 1, 0), credentials)
    found = studies(world, about("example", limit=3), Caller("someone", credentials))
    assert found == ["shown-0", "shown-1", "shown-2"]


def test_a_series_that_the_caller_may_not_see_is_not_named_beside_one_that_she_may(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    caller = Caller("someone", credentials)
    for study in ("1", "2"):
        world.add_shown(study, (1, 0, 0), credentials, series="t1", modality="MR", sequence="T1")
    world.add_shown("1", (0, 1, 0), credentials, series="t2", modality="MR", sequence="T2")
    world.add("2", (0, 1, 0.2), series="t2", modality="MR", sequence="T2")
    (match,) = world.search().similar(about("1"), caller).matches
    assert [pair.reference.series_instance_uid for pair in match.sequences] == ["2.t1"]
    (match,) = world.search().similar(about("1"), TRUSTED).matches
    assert [pair.reference.series_instance_uid for pair in match.sequences] == ["2.t1", "2.t2"]
