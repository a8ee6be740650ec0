"""Supervised contrast by hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from training.errors import TrainingError
from training.losses.sup_con import late_interaction, sup_con, sup_con_of


def test_two_pairs_at_right_angles_cost_what_equation_2_says() -> None:
    vectors = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    # Every anchor: exp(1) over exp(1) + 2 exp(0).
    expected = -math.log(math.e / (math.e + 2.0))
    assert float(sup_con(vectors, torch.tensor([0, 0, 1, 1]), 1.0)) == pytest.approx(expected, abs=1e-6)


def test_several_positives_are_averaged_outside_the_logarithm() -> None:
    similarity = torch.tensor([[9.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    of_first = [1.0, 0.0]
    logsum = math.log(sum(math.exp(s / 0.5) for s in of_first))
    first = logsum - sum(s / 0.5 for s in of_first) / 2
    third = math.log(2.0)
    expected = (first + first + third) / 3
    assert float(sup_con_of(similarity, torch.tensor([7, 7, 7]), 0.5)) == pytest.approx(expected, abs=1e-6)


def test_an_anchor_without_positive_is_a_negative_only() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    expected = -math.log(math.e / (math.e + 1.0))
    assert float(sup_con(vectors, torch.tensor([0, 0, 1]), 1.0)) == pytest.approx(expected, abs=1e-6)


def test_a_batch_without_positives_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least two sequences"):
        sup_con(torch.eye(3), torch.tensor([0, 1, 2]))


def test_late_interaction_is_the_mean_of_the_best_cosines() -> None:
    sets = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]])
    expected = torch.tensor([[1.0, 0.5], [1.0, 1.0]])
    assert torch.allclose(late_interaction(sets), expected)


def test_gradients_stay_finite() -> None:
    vectors = torch.randn(6, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(sup_con(vectors, torch.tensor([0, 0, 1, 1, 2, 3])), vectors)
    assert bool(gradient.isfinite().all())
    assert bool(gradient.any())
