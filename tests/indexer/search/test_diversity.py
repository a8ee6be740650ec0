"""Matches that are unlike one another, on request."""

from __future__ import annotations

import numpy as np

from tests.indexer.search.world import TRUSTED, World, about, studies, unit


def twins(world: World) -> None:
    """An example, three near studies that are one another's copies, and two others further away."""
    world.add("1", (1, 0, 0))
    for number in range(3):
        world.add(f"copy {number}", (1, 0.3 + 0.001 * number, 0))
    world.add("other", (1, -0.4, 0))
    world.add("third", (1, 0, 0.5))


def test_without_diversity_likeness_alone_ranks_and_only_what_is_shown_is_read(world: World) -> None:
    twins(world)
    assert studies(world, about("1", limit=2)) == ["copy 0", "copy 1"]
    assert studies(world, about("1", limit=2, diversity=0.0)) == ["copy 0", "copy 1"]
    assert set(world.index.read) == {"id-copy 0-1", "id-copy 1-1"}


def test_with_diversity_copies_of_one_case_give_way(world: World) -> None:
    twins(world)
    assert studies(world, about("1", limit=3, diversity=0.5)) == ["copy 0", "other", "third"]


def test_the_most_alike_study_stays_first_however_diverse_the_rest(world: World) -> None:
    twins(world)
    found = studies(world, about("1", limit=4, diversity=1.0))
    assert found[0] == "copy 0"
    assert set(found[1:3]) == {"other", "third"}


def test_scores_are_what_they_were_and_ranks_follow_the_order_shown(world: World) -> None:
    twins(world)
    plain = {m.reference: m.score for m in world.search().similar(about("1"), TRUSTED).matches}
    diverse = world.search().similar(about("1", limit=3, diversity=0.5), TRUSTED).matches
    assert [match.rank for match in diverse] == [1, 2, 3]
    assert all(match.score == plain[match.reference] for match in diverse)


def test_more_diversity_never_shows_matches_more_alike_one_another(world: World) -> None:
    rng = np.random.default_rng(4)
    world.add("1", (1, 0, 0))
    spread = {f"{n:02}": unit((1, *(0.6 * rng.normal(size=2))))[0] for n in range(40)}
    for study, vector in spread.items():
        world.add(study, vector.tolist())

    def redundancy(diversity: float) -> float:
        found = [spread[uid] for uid in studies(world, about("1", limit=8, diversity=diversity))]
        alike = np.stack(found) @ np.stack(found).T
        return float(alike[np.triu_indices(len(found), 1)].mean())

    measured = [redundancy(diversity) for diversity in (0.0, 0.3, 0.7)]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > measured[-1] + 0.05
