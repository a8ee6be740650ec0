"""Labels made wrong on purpose, to see what a loss forgives."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

NoiseKind = Literal["symmetric", "asymmetric"]


def corrupted(
    target: NDArray[np.int64], classes: int, rate: float, kind: NoiseKind, seed: int
) -> NDArray[np.int64]:
    """Give a share of the images a wrong label.

    Args:
        target: (n,) class numbers.
        classes: how many there are.
        rate: share of wrong labels, in [0, 1).
        kind: symmetric: any other class, each as likely; asymmetric: always the next class, the last one's
            being the first.
        seed: of which images, and of their labels.

    Returns:
        (n,) in which round(rate * n) labels differ.

    Raises:
        TrainingError: the rate is out of range, or there is no other class.

    Source:
        The two kinds of Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, section 5; the share is exact here, not only expected.
    """
    if not 0.0 <= rate < 1.0:
        raise TrainingError(f"The share of wrong labels is {rate}: it must be at least 0 and below 1.")
    if classes < 2:
        raise TrainingError("With one class no label can be wrong.")
    random = np.random.default_rng(seed)
    wrong = random.permutation(len(target))[: round(rate * len(target))]
    step = random.integers(1, classes, len(wrong)) if kind == "symmetric" else np.ones(len(wrong), np.int64)
    given = target.copy()
    given[wrong] = (given[wrong] + step) % classes
    return given
