from __future__ import annotations

import numpy as np
import pytest

from evaluation.bootstrap import interval_over_subjects, paired_difference
from evaluation.errors import BenchmarkError


def test_the_mean_weighs_queries_and_the_interval_surrounds_it() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(200)
    interval = interval_over_subjects(values, [str(i) for i in range(200)])
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    normal = 1.96 * values.std() / 200**0.5
    assert interval.high - interval.low == pytest.approx(2 * normal, rel=0.15)


def test_many_queries_of_few_subjects_are_worth_few() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 1.0], 50)
    alone = interval_over_subjects(values, [str(i) for i in range(200)])
    together = interval_over_subjects(values, [str(i // 50) for i in range(200)])
    assert together.high - together.low > 5 * (alone.high - alone.low)


def test_a_small_gain_on_every_query_is_no_chance_though_the_intervals_overlap() -> None:
    rng = np.random.default_rng(4)
    worse, subjects = rng.random(100), [str(i) for i in range(100)]
    better = worse + 0.01
    assert interval_over_subjects(worse, subjects).high > interval_over_subjects(better, subjects).low
    gain = paired_difference(better, worse, subjects)
    assert gain.is_above_zero
    assert gain.mean == pytest.approx(0.01)


def test_values_of_other_queries_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="same queries"):
        paired_difference(np.zeros(3), np.zeros(2), ["a", "b", "c"])
    with pytest.raises(BenchmarkError, match="no interval"):
        interval_over_subjects(np.zeros(0), [])
