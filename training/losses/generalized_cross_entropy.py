"""Generalized cross entropy: between cross entropy, which learns fast, and absolute error, which forgives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.errors import TrainingError


def generalized_cross_entropy(logits: Tensor, target: Tensor, q: float = 0.7) -> Tensor:
    """The L_q loss of each image, (1 - p^q) / q, p being the probability of its label.

    Its gradient is that of cross entropy times p^q: an image whose label the network does not believe pulls
    less. As q goes to 0 it becomes cross entropy, -log p; with q = 1 it is 1 - p, half the mean absolute
    error. It is reckoned from log p, so that it and its gradient stay finite where p is 0 in float32.

    Args:
        logits: (n, classes).
        target: int64 (n,), the labels as they were given.
        q: in (0, 1].

    Returns:
        float32 (n,), each in [0, 1 / q].

    Raises:
        TrainingError: q is not in (0, 1].

    Source:
        Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy
        Labels", NeurIPS 2018, equation 6.
    """
    _refuse(q)
    return -torch.expm1(q * log_probability(logits, target)) / q


def truncated_generalized_cross_entropy(
    logits: Tensor, target: Tensor, q: float = 0.7, k: float = 0.5
) -> Tensor:
    """The L_q loss of each image, constant where its label has at most the probability k.

    An image below k has no gradient: it is left out as mislabelled. So a network that has learned nothing yet
    learns nothing from it; the authors start with all images and leave out some later.

    Args:
        logits: (n, classes).
        target: int64 (n,).
        q: in (0, 1].
        k: in (0, 1).

    Returns:
        float32 (n,), each in [0, (1 - k^q) / q].

    Raises:
        TrainingError: q or k is out of range.

    Source:
        Zhang and Sabuncu, NeurIPS 2018, section 3.3, "Truncated L_q loss".
    """
    _refuse(q)
    if not 0.0 < k < 1.0:
        raise TrainingError(f"k is {k}: it must lie between 0 and 1.")
    loss = generalized_cross_entropy(logits, target, q)
    believed = log_probability(logits, target).exp() > k
    return torch.where(believed, loss, torch.full_like(loss, (1.0 - k**q) / q))


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """float32 (n,), -log p for logits (n, classes) and labels (n,): what the others are compared with."""
    return -log_probability(logits, target)


def log_probability(logits: Tensor, target: Tensor) -> Tensor:
    """float32 (n,), the log of the softmax of (n, classes) at the label of each row."""
    return functional.log_softmax(logits.float(), dim=1).gather(1, target[:, None]).squeeze(1)


def _refuse(q: float) -> None:
    if not 0.0 < q <= 1.0:
        raise TrainingError(f"q is {q}: it must be above 0, and at most 1. Near 0 it is cross entropy.")
