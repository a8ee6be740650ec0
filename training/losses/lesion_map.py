"""Loss of a predicted lesion map: cross entropy for honest probabilities, Dice because lesions are small."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_SMOOTH = 1.0


def lesion_map(logits: Tensor, share: Tensor, dice_weight: float = 1.0) -> Tensor:
    """Cross entropy of each cell plus the soft Dice loss of each map.

    Args:
        logits: (n, 1, h, w).
        share: (n, 1, h, w) in [0, 1], how much of each cell is lesion.
        dice_weight: of the Dice part.

    Returns:
        A scalar.

    Source:
        Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, equation for D with squares in the denominator;
        smoothed by one cell, so that an empty map over no lesion costs nothing.
    """
    logits, share = logits.float(), share.float()
    crossed = functional.binary_cross_entropy_with_logits(logits, share)
    return crossed + dice_weight * soft_dice(logits.sigmoid(), share)


def soft_dice(probability: Tensor, share: Tensor) -> Tensor:
    """1 - (2 sum(p g) + 1) / (sum(p^2) + sum(g^2) + 1), averaged over maps (n, 1, h, w)."""
    axes = (1, 2, 3)
    overlap = 2.0 * (probability * share).sum(axes) + _SMOOTH
    total = probability.square().sum(axes) + share.square().sum(axes) + _SMOOTH
    return (1.0 - overlap / total).mean()
