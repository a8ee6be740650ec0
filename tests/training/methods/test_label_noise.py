from __future__ import annotations

import numpy as np
import pytest

from training.errors import TrainingError
from training.methods.label_noise import corrupted

TARGET = np.arange(3000, dtype=np.int64) % 3


def test_exactly_the_share_is_wrong() -> None:
    for rate in (0.0, 0.2, 0.4):
        assert (corrupted(TARGET, 3, rate, "symmetric", seed=1) != TARGET).sum() == round(rate * 3000)


def test_symmetric_noise_takes_each_other_class_as_often() -> None:
    given = corrupted(TARGET, 3, 0.4, "symmetric", seed=1)
    moved = np.bincount((given - TARGET)[given != TARGET] % 3, minlength=3)
    assert moved[0] == 0
    assert abs(moved[1] - moved[2]) < 150


def test_asymmetric_noise_takes_the_next_class() -> None:
    given = corrupted(TARGET, 3, 0.4, "asymmetric", seed=1)
    assert set(((given - TARGET) % 3)[given != TARGET].tolist()) == {1}


def test_the_seed_decides_and_the_labels_given_stay_as_they_were() -> None:
    before = TARGET.copy()
    first, again, other = (corrupted(TARGET, 3, 0.4, "symmetric", seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (before == TARGET).all()


def test_a_share_or_a_class_count_that_cannot_be_is_refused() -> None:
    for rate in (-0.1, 1.0):
        with pytest.raises(TrainingError, match="below 1"):
            corrupted(TARGET, 3, rate, "symmetric", seed=1)
    with pytest.raises(TrainingError, match="one class"):
        corrupted(TARGET * 0, 1, 0.2, "symmetric", seed=1)
