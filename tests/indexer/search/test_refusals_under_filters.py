"""An example is held against the whole archive: what a filter leaves out says that it is at home here too."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.domain import Answer, Filters, Refusal
from indexer.ledger import Background
from indexer.ports import Caller
from indexer.search.judging import Judge
from indexer.search.knowing import Known
from tests.indexer.search.world import TRUSTED, World, about

CT_ONLY = Filters(modality=("CT",))
NEVER = Filters(modality=("US",))
UNKNOWN = Judge(known=lambda _: Known(np.eye(1, 3, dtype=np.float32), least=0.9, close=0.8))
"""Knows nothing of what looks like `HERE`."""
CHANCE = Judge(
    background=lambda *_: Background(
        "",
        "",
        1000,
        np.linspace(0.5, 1, 101, dtype=np.float32),
        np.linspace(0.9, 1, 50, dtype=np.float32),
    )
)
HERE, NEAR, FAR = (0, 1, 0), (0, 1, 0.1), (0, 0.1, 1)
REASONS = pytest.mark.parametrize(
    ("judge", "reason"), [(UNKNOWN, "unknown_to_encoder"), (CHANCE, "no_nearer_than_chance")]
)


def asked(world: World, judge: Judge, filters: Filters | None = None) -> Answer:
    world.judge = judge
    question = about("1") if filters is None else about("1", filters=filters)
    return world.search().similar(question, TRUSTED)


def reason_of(refusal: Refusal | None) -> str:
    return "" if refusal is None else refusal.reason


@pytest.fixture
def filled(world: World) -> World:
    world.add("1", HERE, HERE, modality="MR")
    world.add("far", FAR, FAR, modality="CT")
    return world


@REASONS
def test_what_has_a_near_case_in_the_archive_is_answered_with_the_far_ones_that_were_asked_for(
    filled: World, judge: Judge, reason: str
) -> None:
    assert reason_of(asked(filled, judge).refused) == reason, "alone it is a stranger"
    filled.add("near", NEAR, NEAR, modality="MR")
    answer = asked(filled, judge, CT_ONLY)
    assert answer.refused is None
    assert [match.reference.study_instance_uid for match in answer.matches] == ["far"]


@REASONS
def test_where_a_filter_leaves_nothing_nothing_is_said_of_the_archive(
    filled: World, judge: Judge, reason: str
) -> None:
    filled.add("near", NEAR, NEAR, modality="MR")
    answer = asked(filled, judge, NEVER)
    assert (answer.refused, answer.matches) == (None, ()), reason


@REASONS
def test_what_is_like_nothing_in_the_archive_is_refused_under_a_filter_too(
    filled: World, judge: Judge, reason: str
) -> None:
    answer = asked(filled, judge, CT_ONLY)
    assert reason_of(answer.refused) == reason
    assert answer.matches == ()


def test_the_whole_archive_is_looked_through_only_where_a_refusal_hangs_on_it(filled: World) -> None:
    filled.add("near", NEAR, NEAR, modality="CT")
    asked(filled, UNKNOWN, CT_ONLY)
    assert {scope.filters for scope in filled.index.scopes} == {CT_ONLY}


def test_a_case_that_the_caller_may_not_see_makes_nobody_at_home_under_a_filter(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    world.add_shown("1", HERE, credentials, modality="MR")
    world.add_shown("far", FAR, credentials, modality="CT")
    world.add("near", NEAR, modality="MR")
    world.judge = UNKNOWN
    question = about("1", filters=CT_ONLY)
    hers = world.search().similar(question, Caller("someone", credentials))
    assert reason_of(hers.refused) == "unknown_to_encoder"
    assert world.search().similar(question, TRUSTED).refused is None
