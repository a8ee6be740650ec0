"""The example's own patient has a lane of its own, never mixed into similar other cases."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from indexer.domain import Filters
from indexer.ledger import Background
from indexer.ports import Caller
from indexer.search import ExampleReference, Question
from indexer.search.judging import Judge
from tests.indexer.search.world import TRUSTED, World, about, chosen

FIRST, SECOND = "key:a", "key:b"


def lanes(world: World, question: Question, caller: Caller = TRUSTED) -> tuple[list[str], list[str]]:
    """The studies among the matches, and those of the same patient."""
    answer = world.search().similar(question, caller)
    return (
        [match.reference.study_instance_uid for match in answer.matches],
        [match.reference.study_instance_uid for match in answer.same_patient],
    )


@pytest.fixture
def followed(world: World) -> World:
    """A patient with three more studies, one of them undated, and two other patients."""
    world.add("1", (1, 0, 0), patient=FIRST, study_date=date(2022, 1, 1))
    world.add("old", (1, 0.1, 0), patient=FIRST, study_date=date(2019, 1, 1))
    world.add("new", (0, 1, 0), patient=FIRST, study_date=date(2024, 1, 1))
    world.add("undated", (1, 0, 0), patient=FIRST)
    world.add("other", (1, 0.2, 0), patient=SECOND, study_date=date(2024, 1, 1))
    world.add("nobody", (1, 0.3, 0), study_date=date(2024, 1, 1))
    return world


def test_the_lane_is_newest_first_whatever_is_most_alike_and_without_the_own_study(followed: World) -> None:
    assert lanes(followed, about("1", same_patient=True)) == (
        ["other", "nobody"],
        ["new", "old", "undated"],
    )


def test_studies_of_one_day_are_in_the_order_of_their_likeness(world: World) -> None:
    day = date(2020, 1, 1)
    world.add("1", (1, 0, 0), patient=FIRST)
    world.add("far", (0, 1, 0), patient=FIRST, study_date=day)
    world.add("near", (1, 0.1, 0), patient=FIRST, study_date=day)
    assert lanes(world, about("1", same_patient=True))[1] == ["near", "far"]


def test_nobody_who_did_not_ask_is_told_of_the_same_patient(followed: World) -> None:
    assert lanes(followed, about("1")) == (["other", "nobody"], [])


def test_an_unknown_patient_has_no_lane(followed: World) -> None:
    matches, same_patient = lanes(followed, about("nobody", same_patient=True))
    assert same_patient == []
    assert "other" in matches


def test_a_patient_of_another_key_may_be_anybody_and_stands_in_no_lane(followed: World) -> None:
    followed.add("rekeyed", (1, 0, 0), patient="older:a")
    matches, same_patient = lanes(followed, about("1", same_patient=True))
    assert "rekeyed" not in [*matches, *same_patient]


def test_the_filters_hold_in_the_lane_too(followed: World) -> None:
    since = Filters(study_date_from=date(2023, 1, 1))
    assert lanes(followed, about("1", same_patient=True, filters=since))[1] == ["new"]


def test_the_lane_shows_what_the_caller_may_see(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    for study in ("1", "2", "3"):
        world.add_shown(study, (1, 0, 0), credentials, patient=FIRST)
    world.add("hidden", (1, 0, 0), patient=FIRST)
    question = about("1", same_patient=True)
    assert lanes(world, question, Caller("someone", credentials))[1] == ["2", "3"]


def test_a_match_of_the_lane_says_which_series_answers_which_and_is_no_possible_same_person(
    followed: World,
) -> None:
    answer = followed.search().similar(about("1", same_patient=True), TRUSTED)
    undated = answer.same_patient[-1]
    assert [match.rank for match in answer.same_patient] == [1, 2, 3]
    assert undated.pair_score == pytest.approx(1)
    assert undated.sequences[0].example.series_instance_uid == "1.1"
    assert not undated.possible_same_person


def test_a_chosen_study_of_the_same_patient_stays_in_the_lane(followed: World) -> None:
    question = about("1", same_patient=True, more=chosen("old"))
    assert lanes(followed, question)[1] == ["new", "old", "undated"]


def test_files_that_are_not_archived_have_a_lane_as_well(followed: World) -> None:
    held = followed.index.embeddings_by_id(followed.line_ups.versions[0], ["id-1-1"])
    followed.encoder.answer = (held["id-1-1"],)
    assert lanes(followed, Question((), same_patient=True))[1] == ["new", "old", "undated"]


def test_a_question_of_chosen_cases_alone_has_no_patient_of_its_own(followed: World) -> None:
    more = (ExampleReference(study_instance_uid="old"),)
    matches, same_patient = lanes(followed, Question(None, more=more, same_patient=True))
    assert same_patient == []
    assert matches == ["other", "nobody"], "the patient of a chosen case is no other case"


def test_a_refusal_leaves_the_lane_standing(followed: World) -> None:
    """What is like nothing here is still a study of this patient, who has others."""
    evenly = np.linspace(0.99, 1, 101, dtype=np.float32)
    followed.judge = Judge(background=lambda *_: Background("", "", 1000, evenly, evenly))
    answer = followed.search().similar(about("1", same_patient=True), TRUSTED)
    assert answer.refused is not None
    assert answer.matches == ()
    assert [match.reference.study_instance_uid for match in answer.same_patient] == ["new", "old", "undated"]
    assert answer.compared == 1
    assert followed.search().similar(about("1"), TRUSTED).same_patient == ()
