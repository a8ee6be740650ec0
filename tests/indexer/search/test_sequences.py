"""Sequences of an example are matched with like sequences of other studies; a missing one is normal."""

from __future__ import annotations

import pytest

from indexer.domain import Filters, Match
from indexer.search.likeness import UNLIKE_FACTOR
from tests.indexer.search.world import TRUSTED, World, about, studies

T1 = {"modality": "MR", "sequence": "T1", "plane": "AXIAL"}
T2 = {"modality": "MR", "sequence": "T2", "plane": "AXIAL"}
FLAIR = {"modality": "MR", "sequence": "FLAIR", "plane": "AXIAL"}


def add_example(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    world.add("1", (0, 1, 0), series="t2", **T2)
    world.add("1", (0, 0, 1), series="flair", **FLAIR)


def matches(world: World, **options: object) -> dict[str, Match]:
    answer = world.search().similar(about("1", **options), TRUSTED)
    return {match.reference.study_instance_uid: match for match in answer.matches}


def test_like_is_compared_with_like_even_where_another_series_looks_more_alike(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    world.add("2", (1, 1, 0), series="t1", **T1)
    world.add("2", (1, 0, 0), series="t2", **T2)
    (pair,) = matches(world)["2"].sequences
    assert pair.reference.series_instance_uid == "2.t1"
    assert pair.is_like
    assert matches(world)["2"].score == pytest.approx(0.5**0.5, abs=1e-6)


def test_the_answer_names_every_pair_of_series_and_first_the_one_that_carried_the_match(
    world: World,
) -> None:
    add_example(world)
    world.add("2", (1, 0.5, 0), series="t1", **T1)
    world.add("2", (0.1, 1, 0), series="t2", **T2)
    world.add("2", (0.3, 0, 1), series="flair", **FLAIR)
    match = matches(world)["2"]
    assert [pair.example.series_instance_uid for pair in match.sequences] == ["1.t2", "1.flair", "1.t1"]
    assert [pair.reference.series_instance_uid for pair in match.sequences] == ["2.t2", "2.flair", "2.t1"]
    assert all(pair.is_like for pair in match.sequences)
    assert match.reference.series_instance_uid == "2.t2"
    assert match.answers == match.sequences[0].example
    assert match.score == pytest.approx(sum(pair.score for pair in match.sequences) / 3)


def test_a_study_without_a_sequence_is_found_and_says_which_pair_is_of_unlike_series(world: World) -> None:
    add_example(world)
    world.add("2", (1, 0, 0), series="t1", **T1)
    world.add("2", (0, 1, 0.5), series="t2", **T2)
    match = matches(world)["2"]
    pairs = {pair.example.series_instance_uid: pair for pair in match.sequences}
    missing = pairs["1.flair"]
    assert not missing.is_like
    assert missing.reference.series_instance_uid == "2.t2"
    assert pairs["1.t1"].is_like
    assert pairs["1.t2"].is_like
    votes = [pairs["1.t1"].score, pairs["1.t2"].score, missing.score * UNLIKE_FACTOR]
    assert match.score == pytest.approx(sum(votes) / 3, abs=1e-6)


def test_of_two_studies_as_near_the_one_with_the_like_series_comes_first(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    world.add("2", (1, 0.1, 0), series="t2", **T2)
    world.add("3", (1, 0.1, 0), series="t1", **T1)
    world.add("4", (1, 0.1, 0), series="unknown", modality="MR")
    assert studies(world, about("1")) == ["3", "4", "2"]


def test_a_score_below_zero_is_not_brought_nearer_by_being_unlike(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    world.add("2", (-1, 0, 0), series="t2", **T2)
    assert matches(world)["2"].score == pytest.approx(-1)


def test_a_like_series_beyond_the_nearest_of_any_kind_is_still_found(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    for number in range(30):
        world.add(f"near-{number:02}", (1, 0.001 * number, 0), series="t2", **T2)
    world.add("like", (1, 0.3, 0), series="t1", **T1)
    assert studies(world, about("1", limit=1)) == ["like"]


def test_where_a_filter_leaves_no_like_series_others_are_matched(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    world.add("2", (1, 0.2, 0), series="ct", modality="CT", sequence="CONTRAST")
    world.add("2", (1, 0, 0), series="t1", **T1)
    (pair,) = matches(world, filters=Filters(modality=("CT",)))["2"].sequences
    assert pair.reference.series_instance_uid == "2.ct"
    assert not pair.is_like


def test_where_all_that_is_near_is_like_the_index_is_not_asked_more_often_than_before(world: World) -> None:
    world.add("1", (1, 0, 0), series="t1", **T1)
    for number in range(20):
        world.add(f"{number:02}", (1, 0.01 * number, 0), series="t1", **T1)
    matches(world)
    assert len(world.index.scopes) == 1


def test_three_series_among_studies_of_three_series_cost_at_most_twice_the_questions(world: World) -> None:
    """Two questions a series were asked when like was not compared with like: its nearest, and the rest."""
    add_example(world)
    for number in range(60):
        turned = 0.02 * number
        world.add(f"{number:02}", (1, turned, 0), series="t1", **T1)
        world.add(f"{number:02}", (0, 1, turned), series="t2", **T2)
        if number % 3:
            world.add(f"{number:02}", (turned, 0, 1), series="flair", **FLAIR)
    matches(world)
    assert len(world.index.scopes) <= 2 * 2 * 3
