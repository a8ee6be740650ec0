"""Query by example: which study ranks where, and what a match tells."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from indexer.domain import Filters
from indexer.errors import VectorIndexUnavailable
from tests.indexer.search.world import TRUSTED, World, about, studies


def test_the_nearest_comes_first_and_the_own_study_never(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0))
    world.add("3", (0.9, 0.1, 0))
    assert studies(world, about("1")) == ["3", "2"]


def test_a_match_names_its_rank_its_score_and_the_pair_of_frames_that_look_alike(world: World) -> None:
    world.add("1", (1, 0, 0), (0, 1, 0))
    world.add("2", (0, 0, 1), (0, 1, 0.1))
    match = world.search().similar(about("1"), TRUSTED).matches[0]
    assert match.rank == 1
    assert match.frame.sop_instance_uid == "2.1.2"
    assert match.example_frame is not None
    assert match.example_frame.sop_instance_uid == "1.1.2"
    assert match.answers is not None
    assert match.answers.series_instance_uid == "1.1"
    assert match.score == pytest.approx(0.5 * (0 + 1 / np.sqrt(1.01)), abs=1e-5)


def test_a_study_is_shown_once_and_by_its_best_series(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0), series="1")
    world.add("2", (1, 0.1, 0), series="2")
    answer = world.search().similar(about("1"), TRUSTED)
    assert [m.reference.series_instance_uid for m in answer.matches] == ["2.2"]


def test_the_series_of_one_study_vote_together(world: World) -> None:
    """Study 2 is best for one series only; study 3 is good for both and wins."""
    world.add("1", (1, 0, 0), series="a")
    world.add("1", (0, 1, 0), series="b")
    world.add("2", (1, 0, 0), series="a")
    world.add("3", (0.9, 0.3, 0), series="a")
    world.add("3", (0.3, 0.9, 0), series="b")
    answer = world.search().similar(about("1"), TRUSTED)
    assert [m.reference.study_instance_uid for m in answer.matches] == ["3", "2"]
    assert answer.matches[1].sequences[0].example.series_instance_uid == "1.a"
    assert answer.matches[1].score == pytest.approx(0.5)


def test_a_study_found_for_one_series_only_is_still_judged_by_all(world: World) -> None:
    world.add("1", (1, 0, 0), series="a")
    world.add("1", (0, 1, 0), series="b")
    world.add("near-a", (1, 0.01, 0))
    for number in range(8):
        world.add(f"near-b-{number}", (0.2, 1, 0))
    found = studies(world, about("1", limit=1))
    assert found == ["near-b-0"]


def test_the_same_patient_is_left_out_unless_asked_for_and_an_unknown_patient_is_nobody(world: World) -> None:
    world.add("1", (1, 0, 0), patient="p")
    world.add("2", (1, 0, 0), patient="p")
    world.add("3", (1, 0.1, 0), patient=None)
    assert studies(world, about("1")) == ["3"]
    assert studies(world, about("3")) == ["1", "2"]


def test_filters_narrow_the_matches(world: World) -> None:
    world.add("1", (1, 0, 0), modality="MR")
    world.add("2", (1, 0, 0), modality="CT", study_date=date(2020, 5, 1))
    world.add("3", (1, 0.1, 0), modality="MR", body_part_examined="BRAIN")
    assert studies(world, about("1", filters=Filters(modality=("CT",)))) == ["2"]
    assert studies(world, about("1", filters=Filters(body_part_examined=("BRAIN",)))) == ["3"]
    assert studies(world, about("1", filters=Filters(study_date_from=date(2020, 5, 1)))) == ["2"]


def test_a_vector_index_that_is_down_is_said_to_be(world: World) -> None:
    world.index.unavailable = True
    with pytest.raises(VectorIndexUnavailable):
        studies(world, about("1"))
