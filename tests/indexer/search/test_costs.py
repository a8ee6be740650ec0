"""What a question costs the vector index, however many series it is asked with."""

from __future__ import annotations

import pytest

from indexer.ports import Caller
from indexer.search.clues import MOST_SERIES, most_telling, of_a_case
from tests.indexer.search.world import TRUSTED, World, about, chosen, embedding, studies

CREDENTIALS = {"Authorization": "Basic eA=="}
CALLER = Caller("someone", CREDENTIALS)


def add_examples(world: World, series: int, studies: int) -> None:
    """An example of many series, and studies of as many; no two look quite alike."""
    for number in range(series):
        kind = {"modality": "MR", "sequence": f"S{number % 20}"}
        world.add("1", (1, 0.1 * number, 0), series=str(number), **kind)
        for study in range(studies):
            direction = (1, 0.1 * number + 0.01 * study, 0.01 * ((study * 7 + number) % studies))
            world.add(f"prior {study:03}", direction, series=str(number), **kind)


def sent_uids(world: World) -> int:
    return sum(len(scope.only_studies or ()) for scope in world.index.scopes)


@pytest.mark.parametrize("series", [20, 60])
def test_an_example_of_very_many_series_costs_what_one_of_twelve_does(world: World, series: int) -> None:
    add_examples(world, series, studies=60)
    answer = world.search().similar(about("1"), TRUSTED)
    assert len(answer.example) == series
    assert answer.compared == MOST_SERIES
    assert len(answer.matches) == 10
    assert len(answer.matches[0].sequences) == MOST_SERIES
    assert len(world.index.scopes) <= 4 * MOST_SERIES
    assert sent_uids(world) <= 2 * MOST_SERIES * 40


def test_of_very_many_series_one_of_each_kind_is_compared_first_and_then_those_with_most_frames() -> None:
    many = [embedding("1", *[(1, 0, 0)] * (n + 1), series=f"t1-{n}", sequence="T1") for n in range(20)]
    few = [embedding("1", (1, 0, 0), series="t2", sequence="T2")]
    taken = [one.reference.series_instance_uid for one in most_telling([*few, *many], 4)]
    assert taken == ["1.t2", "1.t1-17", "1.t1-18", "1.t1-19"]
    assert most_telling(many[:3], 4) == tuple(many[:3])


def test_of_a_chosen_study_a_few_series_are_compared_and_of_many_one_each(world: World) -> None:
    assert [of_a_case(cases) for cases in (1, 4, 5, 12, 20)] == [3, 3, 2, 1, 1]
    add_examples(world, 8, studies=6)
    more = tuple(f"prior {study:03}" for study in range(5))
    answer = world.search().similar(about("1", more=chosen(*more)), TRUSTED)
    assert [reference.study_instance_uid for reference in answer.more] == [
        uid for uid in more for _ in (1, 2)
    ]
    assert [match.reference.study_instance_uid for match in answer.matches] == ["prior 005"]


def test_a_caller_who_sees_little_asks_deeper_and_only_what_she_may_see_is_compared_in_full(
    world: World,
) -> None:
    t1, t2 = ({"modality": "MR", "sequence": sequence} for sequence in ("T1", "T2"))
    for series, attributes in (("t1", t1), ("t2", t2)):
        world.add_shown("1", (1, 0, 0), CREDENTIALS, series=series, **attributes)
        for number in range(200):
            turned = number if series == "t1" else 199 - number
            world.add(f"hidden {number:03}", (1, 0.001 * turned, 0), series=series, **attributes)
        for number in range(5):
            world.add_shown(f"shown {number}", (1, number, 1), CREDENTIALS, series=series, **attributes)
    found = studies(world, about("1", limit=5), CALLER)
    assert found == [f"shown {number}" for number in range(5)]
    assert len(world.index.scopes) <= 2 * (2 * 3 + 2), "three depths, and one completion, of two series"
    assert sent_uids(world) <= 2 * 2 * 5


def test_the_order_is_that_of_comparing_every_study_in_full(world: World) -> None:
    add_examples(world, 6, studies=80)
    few = world.search().similar(about("1", limit=5), TRUSTED).matches
    all_ = world.search().similar(about("1", limit=80), TRUSTED).matches
    assert [(match.reference, match.score) for match in few] == [
        (match.reference, match.score) for match in all_[:5]
    ]
