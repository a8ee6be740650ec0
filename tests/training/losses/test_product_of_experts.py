"""The product of experts against the analytic product of Gaussians, for every subset of sequences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from training.errors import TrainingError
from training.losses.product_of_experts import (
    Gaussian,
    divergence_from_prior,
    negative_elbo,
    product_of_experts,
)

MEANS = (1.0, -2.0, 0.5)
VARIANCES = (0.5, 2.0, 0.25)


def _logarithm(x: torch.Tensor, mean: float, variance: float) -> torch.Tensor:
    return -0.5 * (math.log(2 * math.pi * variance) + (x - mean) ** 2 / variance)


@pytest.mark.parametrize("present", list(itertools.product([False, True], repeat=3)))
def test_the_posterior_is_the_normalised_product_of_the_densities(present: tuple[bool, ...]) -> None:
    mean = torch.tensor(MEANS).view(1, 3, 1)
    variance = torch.tensor(VARIANCES).view(1, 3, 1)
    # What stands in a missing sequence's place is not read.
    mean = torch.where(torch.tensor(present).view(1, 3, 1), mean, torch.nan)
    posterior = product_of_experts(mean, variance.log(), torch.tensor([present]))
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    logarithm = _logarithm(x, 0.0, 1.0)
    for there, m, v in zip(present, MEANS, VARIANCES, strict=True):
        if there:
            logarithm = logarithm + _logarithm(x, m, v)
    density = logarithm.softmax(0)
    expected = float((density * x).sum())
    assert float(posterior.mean) == pytest.approx(expected, abs=1e-4)
    spread = float((density * (x - expected) ** 2).sum())
    assert float(posterior.log_variance.exp()) == pytest.approx(spread, abs=1e-4)


def test_no_sequence_at_all_leaves_the_prior() -> None:
    posterior = product_of_experts(
        torch.ones(2, 3, 4), torch.ones(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool)
    )
    assert not posterior.mean.any()
    assert not posterior.log_variance.any()
    assert divergence_from_prior(posterior).tolist() == [0.0, 0.0]


def test_gradients_do_not_come_from_what_is_missing() -> None:
    mean = torch.ones(1, 2, 3, requires_grad=True)
    posterior = product_of_experts(mean, torch.zeros(1, 2, 3), torch.tensor([[True, False]]))
    (gradient,) = torch.autograd.grad(posterior.mean.sum(), mean)
    assert gradient[0].tolist() == [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]


def test_the_bound_is_squared_error_of_what_is_present_plus_divergence() -> None:
    posterior = Gaussian(torch.tensor([[2.0]]), torch.tensor([[0.0]]))
    pictures, drawn = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    present = torch.tensor([[True, False]])
    # Four pixels wrong by 1 with deviation 0.5: 4 / (2 * 0.25) = 8; KL(N(2, 1) || N(0, 1)) = 2.
    bound = negative_elbo(drawn, pictures, present, posterior, beta=0.25, scale=0.5)
    assert float(bound) == pytest.approx(8.0 + 0.25 * 2.0)


def test_experts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TrainingError, match="do not fit"):
        product_of_experts(torch.ones(1, 2, 3), torch.ones(1, 2, 3), torch.ones(1, 3, dtype=torch.bool))
