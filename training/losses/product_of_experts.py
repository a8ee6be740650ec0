"""Product of experts over whichever sequences are there, and the bound that a joint space is learned by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Diagonal Gaussians.

    Attributes:
        mean: (n, d).
        log_variance: (n, d), natural logarithm.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """One draw each, (n, d), differentiable in both (Kingma and Welling, ICLR 2014, section 2.4)."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_variance).exp()


def product_of_experts(mean: Tensor, log_variance: Tensor, present: Tensor) -> Gaussian:
    """The Gaussian proportional to the standard normal prior times every expert that is present.

    The precision is 1 + sum of the present experts' precisions, the mean their precision-weighted mean; with
    no expert at all it is the prior.

    Args:
        mean: (n, s, d), an expert a sequence; what stands where a sequence is missing is not read.
        log_variance: (n, s, d).
        present: (n, s) bool.

    Raises:
        TrainingError: the shapes do not fit.

    Source:
        Wu and Goodman, "Multimodal Generative Models for Scalable Weakly-Supervised Learning", NeurIPS 2018,
        section 2.2; Cao and Fleet, "Generalized Product of Experts", 2014.
    """
    if mean.shape != log_variance.shape or mean.shape[:2] != present.shape:
        raise TrainingError(
            f"Experts {tuple(mean.shape)} and {tuple(log_variance.shape)} do not fit {tuple(present.shape)}."
        )
    there = present[..., None]
    precision = torch.where(there, (-log_variance.float()).exp(), 0.0)
    total = 1.0 + precision.sum(1)
    weighted = torch.where(there, mean.float(), 0.0) * precision
    return Gaussian(weighted.sum(1) / total, -total.log())


def divergence_from_prior(posterior: Gaussian) -> Tensor:
    """KL(q || N(0, 1)) in nats, (n,) (Kingma and Welling, ICLR 2014, appendix B)."""
    variance = posterior.log_variance.exp()
    return 0.5 * (posterior.mean.square() + variance - 1.0 - posterior.log_variance).sum(1)


def negative_elbo(
    drawn: Tensor, pictures: Tensor, present: Tensor, posterior: Gaussian, *, beta: float, scale: float
) -> Tensor:
    """The evidence lower bound's negative, of Gaussian pictures with one fixed standard deviation.

    Args:
        drawn: (n, s, h, w), what the decoders make of a draw from the posterior.
        pictures: (n, s, h, w) in [0, 1].
        present: (n, s) bool; a missing sequence has no term.
        posterior: n of them.
        beta: weight of the divergence, in [0, 1] while it is annealed.
        scale: standard deviation of a pixel; the constant term is left out.

    Returns:
        A scalar in nats, the mean over the n.

    Source:
        Wu and Goodman, NeurIPS 2018, equation 2.
    """
    wrong = (drawn.float() - pictures.float()).square().sum((2, 3)) / (2.0 * scale * scale)
    return (torch.where(present, wrong, 0.0).sum(1) + beta * divergence_from_prior(posterior)).mean()
