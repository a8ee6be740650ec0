from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from training.errors import TrainingError
from training.losses.generalized_cross_entropy import (
    cross_entropy,
    generalized_cross_entropy,
    truncated_generalized_cross_entropy,
)

PROBABILITY = torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.04, 0.16, 0.8]])
TARGET = torch.tensor([0, 2, 1])
BELIEF = [0.7, 0.25, 0.16]


def logits() -> torch.Tensor:
    return PROBABILITY.log().requires_grad_()


@pytest.mark.parametrize("q", [0.3, 0.5, 0.7, 1.0])
def test_the_loss_is_equation_6(q: float) -> None:
    expected = torch.tensor([(1 - p**q) / q for p in BELIEF])
    torch.testing.assert_close(generalized_cross_entropy(logits(), TARGET, q), expected)


def test_values_by_hand() -> None:
    values = generalized_cross_entropy(logits(), TARGET, 0.5)
    torch.testing.assert_close(values[1:], torch.tensor([1.0, 1.2]))  # (1 - 0.5) / 0.5, (1 - 0.4) / 0.5


def test_near_zero_it_is_cross_entropy() -> None:
    expected = functional.cross_entropy(logits(), TARGET, reduction="none")
    torch.testing.assert_close(
        generalized_cross_entropy(logits(), TARGET, 1e-6), expected, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(cross_entropy(logits(), TARGET), expected)


def test_at_one_it_is_half_the_absolute_error() -> None:
    one_hot = functional.one_hot(TARGET, 3).float()
    absolute = (one_hot - PROBABILITY).abs().sum(1)
    torch.testing.assert_close(generalized_cross_entropy(logits(), TARGET, 1.0), absolute / 2)


def test_its_gradient_is_that_of_cross_entropy_times_the_belief() -> None:
    ours, theirs = logits(), logits()
    pull = torch.autograd.grad(generalized_cross_entropy(ours, TARGET, 0.7).sum(), ours)[0]
    plain = torch.autograd.grad(cross_entropy(theirs, TARGET).sum(), theirs)[0]
    torch.testing.assert_close(pull, plain * torch.tensor(BELIEF)[:, None] ** 0.7)


@pytest.mark.parametrize("q", [0.01, 0.7, 1.0])
def test_value_and_gradient_are_finite_where_the_label_is_impossible(q: float) -> None:
    given = torch.tensor([[2000.0, -2000.0], [0.0, 300.0]], requires_grad=True)
    losses = generalized_cross_entropy(given, torch.tensor([1, 0]), q)
    assert torch.isfinite(torch.autograd.grad(losses.sum(), given)[0]).all()
    assert (losses <= 1 / q + 1e-4).all()
    torch.testing.assert_close(losses[0], torch.tensor(1 / q))


def test_half_precision_logits_are_judged_in_full_precision() -> None:
    assert generalized_cross_entropy(logits().bfloat16(), TARGET).dtype is torch.float32


def test_truncated_below_k_it_is_constant_and_pulls_no_longer() -> None:
    given = logits()
    losses = truncated_generalized_cross_entropy(given, TARGET, q=0.7, k=0.5)
    pull = torch.autograd.grad(losses.sum(), given)[0]
    flat = (1 - 0.5**0.7) / 0.7
    torch.testing.assert_close(losses, torch.tensor([(1 - 0.7**0.7) / 0.7, flat, flat]))
    assert pull[0].abs().max() > 0
    assert not pull[1:].any()


@pytest.mark.parametrize("q", [0.0, -0.1, 1.01, math.nan])
def test_q_outside_its_range_is_refused(q: float) -> None:
    with pytest.raises(TrainingError, match="above 0"):
        generalized_cross_entropy(logits(), TARGET, q)


@pytest.mark.parametrize("k", [0.0, 1.0])
def test_k_outside_its_range_is_refused(k: float) -> None:
    with pytest.raises(TrainingError, match="between 0 and 1"):
        truncated_generalized_cross_entropy(logits(), TARGET, 0.7, k)
