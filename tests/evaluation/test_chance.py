from __future__ import annotations

import itertools

import numpy as np
import pytest

from evaluation.chance import expected_by_chance, expected_precision_at_r
from evaluation.identity import identify
from evaluation.ranking import average_precision
from tests.evaluation.test_ranking import at


def orders(right: int, candidates: int) -> list[np.ndarray]:
    """Every way in which the right ones can lie among the candidates."""
    return [np.isin(np.arange(candidates), c) for c in itertools.combinations(range(candidates), right)]


@pytest.mark.parametrize(("right", "candidates"), [(3, 8), (1, 6), (0, 5), (5, 5), (7, 9)])
def test_it_is_the_mean_over_every_order(right: int, candidates: int) -> None:
    every = orders(right, candidates)
    found = expected_by_chance(np.array([right]), np.array([candidates]), (1, 4, 20))
    for k in (1, 4, 20):
        assert found[f"P@{k}"][0] == pytest.approx(np.mean([order[:k].mean() for order in every]))
        assert found[f"R@{k}"][0] == pytest.approx(np.mean([order[:k].any() for order in every]))
    assert found["mAP@4"][0] == pytest.approx(np.mean([average_precision(order[:4]) for order in every]))
    assert "mAP@1" not in found


def test_each_query_has_its_own() -> None:
    found = expected_by_chance(np.array([1, 4, 1]), np.array([8, 8, 8]), (1,))
    assert found["P@1"].tolist() == [1 / 8, 4 / 8, 1 / 8]


def test_large_galleries_are_no_trouble() -> None:
    found = expected_by_chance(np.array([2000]), np.array([9000]), (30,))
    assert found["P@30"][0] == pytest.approx(2 / 9)
    assert found["R@30"][0] == pytest.approx(1 - (7 / 9) ** 30, abs=1e-4)


@pytest.mark.parametrize(("right", "candidates"), [(3, 8), (1, 6), (5, 5)])
def test_precision_at_r_is_the_mean_over_every_order(right: int, candidates: int) -> None:
    values = []
    for order in orders(right, candidates):
        top = order[:right]
        values.append((np.cumsum(top) / np.arange(1, right + 1) * top).sum() / right)
    assert expected_precision_at_r(right, candidates) == pytest.approx(np.mean(values))


def test_identification_names_its_chance() -> None:
    found = identify(at(0, 1, 2, 3), np.array(list("pqpp")), np.array(list("1234")))
    assert found.chance_at_r.tolist() == pytest.approx([expected_precision_at_r(2, 3)] * 3)
