from __future__ import annotations

import numpy as np
import pytest

from evaluation.errors import BenchmarkError
from evaluation.identity import identify
from tests.evaluation.test_ranking import at


def test_a_patient_is_looked_for_among_other_series_only() -> None:
    vector = at(0, 1, 20, 40, 41)
    patient = np.array(["p", "p", "q", "p", "q"])
    series = np.array(["p1", "p1", "q1", "p2", "q2"])
    found = identify(vector, patient, series)
    assert found.query.tolist() == [0, 1, 2, 3, 4]
    assert found.precision_at_1.tolist() == [0, 0, 0, 0, 0]
    assert found.average_precision_at_r[3] == pytest.approx(0)
    assert found.chance.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 4, 2 / 4, 1 / 4])


def test_precision_counts_as_far_as_there_are_right_ones() -> None:
    vector = at(0, 1, 2, 3)
    patient = np.array(["p", "q", "p", "p"])
    found = identify(vector, patient, np.array(["1", "2", "3", "4"]))
    assert found.query.tolist() == [0, 2, 3]
    assert found.average_precision_at_r[0] == pytest.approx((0 + 1 / 2) / 2)
    assert found.precision_at_1.tolist() == [0, 0, 1]


def test_patients_of_one_series_each_cannot_be_found_again() -> None:
    with pytest.raises(BenchmarkError, match="two series"):
        identify(at(0, 1), np.array(["p", "q"]), np.array(["1", "2"]))
