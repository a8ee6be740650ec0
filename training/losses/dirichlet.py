"""Losses of deep clustering: views of one image agree, and a Dirichlet prior keeps every cluster in use."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TINY = 1e-8


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """Minus the log of the probability that two views of an image fall into the same cluster.

    It is zero when both are sure of the same cluster, whichever it is; all images in one cluster minimise it
    too, which is what `dirichlet_prior` is for.

    Args:
        first: (n, k) probabilities of the clusters, one view of each image; rows sum to one.
        second: (n, k), another view of the same images.

    Returns:
        A scalar of at least 0, the mean over the images.

    Source:
        Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", ECCV 2020, equation 2, first
        term. Maximising the mutual information of both views' clusters (Ji et al., "Invariant Information
        Clustering for Unsupervised Image Classification and Segmentation", ICCV 2019, equation 3) asks for
        the same agreement, and balances the clusters by an entropy in place of a prior.
    """
    together = (first.float() * second.float()).sum(1)
    return -together.clamp_min(_TINY).log().mean()


def dirichlet_prior(mean: Tensor, concentration: float = 2.0) -> Tensor:
    """Minus the log density of a mean assignment under a symmetric Dirichlet, zero where it is uniform.

    With concentration a and k clusters the log density of Dir(a, ..., a) at p is (a - 1) sum_j log p_j and a
    constant. Divided by -k and shifted so that its least value is zero it is (a - 1) KL(uniform || p): it
    grows without bound as a cluster empties, and asks little where clusters are merely uneven, as organs are.

    Args:
        mean: (k,) share of each cluster over a batch; sums to one.
        concentration: a, above 1; 1 is no prior at all.

    Returns:
        A scalar of at least 0.

    Source:
        Density: Kotz, Balakrishnan and Johnson, "Continuous Multivariate Distributions", 2000, chapter 49.
        A balance of the mean assignment against collapse: Krause, Perona and Gomes, "Discriminative
        Clustering by Regularized Information Maximization", NIPS 2010, section 2.
    """
    log_share = mean.float().clamp_min(_TINY).log()
    return (concentration - 1.0) * -(log_share + math.log(len(mean))).mean()


def mean_assignment(first: Tensor, second: Tensor) -> Tensor:
    """(k,) share of each cluster over both views, each (n, k)."""
    return torch.cat([first, second]).float().mean(0)
