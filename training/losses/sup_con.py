"""Supervised contrastive loss: what shares a label lies together, what does not lies apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.errors import TrainingError


def sup_con(vectors: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Compare each vector with all others of the batch, its positives being those of its own label.

    Args:
        vectors: (n, d), not normalised.
        labels: (n,) integers.
        temperature: tau, above zero.

    Returns:
        A scalar, the mean over the anchors that have a positive.

    Raises:
        TrainingError: no vector has a positive.

    Source:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2 (L_out).
    """
    unit = functional.normalize(vectors.float(), dim=1)
    return sup_con_of(unit @ unit.T, labels, temperature)


def sup_con_of(similarity: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """The same loss over similarities that were reckoned otherwise: by late interaction, say.

    Args:
        similarity: (n, n) in [-1, 1]; row i holds what anchor i is compared with. The diagonal is not read.
        labels: (n,) integers.
        temperature: tau, above zero.

    Returns:
        A scalar, the mean over the anchors that have a positive.

    Raises:
        TrainingError: no row has a positive.
    """
    own = torch.eye(len(labels), dtype=torch.bool, device=similarity.device)
    positive = (labels[:, None] == labels[None]) & ~own
    counts = positive.sum(1)
    anchors = counts > 0
    if not bool(anchors.any()):
        raise TrainingError("Nothing in the batch shares a label: draw at least two sequences of a patient.")
    logits = (similarity.float() / temperature).masked_fill(own, -torch.inf)
    log_share = (logits - logits.logsumexp(1, keepdim=True)).masked_fill(~positive, 0.0)
    return -(log_share.sum(1)[anchors] / counts[anchors]).mean()


def late_interaction(vectors: Tensor) -> Tensor:
    """How alike sets of vectors are: each one's best counterpart in the other set, on average.

    Args:
        vectors: (n, k, d), n sets of k vectors, not normalised.

    Returns:
        (n, n) in [-1, 1]; row i, column j: the mean over the vectors of i of their best cosine in j. Not
        symmetric.

    Source:
        Khattab and Zaharia, "ColBERT", SIGIR 2020, equation 3 (MaxSim), divided by the number of vectors.
    """
    unit = functional.normalize(vectors.float(), dim=2)
    return torch.einsum("ikd,jld->ijkl", unit, unit).amax(3).mean(2)
