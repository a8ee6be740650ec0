"""The prior that keeps every cluster in use, and the agreement of two views."""

from __future__ import annotations

import torch
from torch.distributions import Dirichlet

from training.losses.dirichlet import dirichlet_prior, disagreement, mean_assignment


def test_the_prior_is_the_dirichlet_density_up_to_a_factor_and_a_constant() -> None:
    shares = Dirichlet(torch.ones(5)).sample((2,))
    exact = Dirichlet(torch.full((5,), 3.0)).log_prob(shares)  # type: ignore[no-untyped-call]
    ours = torch.stack([dirichlet_prior(share, 3.0) for share in shares])
    torch.testing.assert_close((exact[0] - exact[1]) / -5, ours[0] - ours[1], rtol=1e-3, atol=1e-5)


def test_the_prior_is_zero_where_the_clusters_are_even_and_grows_as_one_empties() -> None:
    values = [
        float(dirichlet_prior(torch.tensor([share, (1 - share) / 2, (1 - share) / 2])))
        for share in (1 / 3, 0.1, 0.01, 1e-4)
    ]
    assert abs(values[0]) < 1e-6
    assert values == sorted(values)


def test_a_concentration_of_one_is_no_prior() -> None:
    assert float(dirichlet_prior(torch.tensor([0.9, 0.1]), 1.0)) == 0.0


def test_views_that_are_sure_of_one_cluster_agree() -> None:
    sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(disagreement(sure, sure)) == 0.0
    assert float(disagreement(sure, sure.flip(1))) > 10
    assert float(disagreement(torch.full((2, 2), 0.5), sure)) > 0.5


def test_the_mean_assignment_is_over_both_views() -> None:
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert mean_assignment(first, second).tolist() == [0.5, 0.5]
