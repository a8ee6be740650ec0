"""Scores of several clues become one; what is on two scales is brought to one first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.search.fusing import standardised

SCORES = st.lists(st.floats(-1, 1), min_size=2, max_size=20)


def by_study(*scores: float) -> dict[str, float]:
    return {str(place): score for place, score in enumerate(scores)}


def test_scores_take_the_mean_and_the_spread_of_others_and_keep_their_order() -> None:
    moved = standardised(by_study(0.30, 0.20, 0.10), [0.9, 0.8, 0.95, 0.85])
    assert list(moved) == ["0", "1", "2"]
    assert np.mean(list(moved.values())) == pytest.approx(0.875)
    assert np.std(list(moved.values())) == pytest.approx(np.std([0.9, 0.8, 0.95, 0.85]))
    assert moved["0"] > moved["1"] > moved["2"]


def test_scores_without_a_spread_all_become_the_mean() -> None:
    assert standardised(by_study(0.2, 0.2), [0.8, 0.9]) == pytest.approx(by_study(0.85, 0.85))
    assert standardised(by_study(0.2), [0.8, 0.9]) == pytest.approx(by_study(0.85))
    assert standardised({}, [0.8]) == {}


@given(SCORES, SCORES)
def test_standardising_never_changes_which_study_is_nearer(scores: list[float], others: list[float]) -> None:
    moved = standardised(by_study(*scores), others)
    assert np.isfinite(list(moved.values())).all()
    order = sorted(range(len(scores)), key=lambda place: scores[place])
    for low, high in pairwise(order):
        assert moved[str(low)] <= moved[str(high)] + 1e-6
