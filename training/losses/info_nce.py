"""Contrastive losses between images and texts: ConVIRT's and CLIP's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST_SCALE: Final = 100.0


def convirt(
    images: Tensor,
    texts: Tensor,
    weight: float = 0.75,
    temperature: float = 0.1,
    target: Tensor | None = None,
) -> Tensor:
    """Bidirectional InfoNCE: each image shall find its text, each text its image, among those of the batch.

    Args:
        images: (n, d), not normalised.
        texts: (n, d), not normalised; row i belongs to image i.
        weight: lambda, in [0, 1]: of finding the text; the rest weighs finding the image.
        temperature: tau, above zero.
        target: (n, n), symmetric, rows that sum to 1: how far text j, too, is right for image i; see
            `shared_targets`. Without it each pair is alone.

    Returns:
        A scalar.

    Source:
        Zhang et al., "Contrastive Learning of Medical Visual Representations from Paired Images and Text",
        MLHC 2022, equations 2 to 4; the targets as in Yang et al., "Unified Contrastive Learning in
        Image-Text-Label Space", CVPR 2022, equations 3 and 4.
    """
    return _both_ways(_cosines(images, texts) / temperature, weight, target)


def clip(images: Tensor, texts: Tensor, log_scale: Tensor, target: Tensor | None = None) -> Tensor:
    """Symmetric cross entropy over scaled cosines, the scale learned.

    Args:
        images: (n, d), not normalised.
        texts: (n, d), not normalised; row i belongs to image i.
        log_scale: scalar, the logarithm of 1 / temperature; the scale is at most 100.
        target: (n, n), as in `convirt`.

    Returns:
        A scalar.

    Source:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
        figure 3 and section 2.5.
    """
    scale = log_scale.float().clamp(max=math.log(LARGEST_SCALE)).exp()
    return _both_ways(_cosines(images, texts) * scale, 0.5, target)


def shared_targets(groups: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Targets for pairs that share something: a caption, say, or the body part.

    Args:
        groups: (n,) integers each; pairs of one number are each other's positives, evenly.
        shares: of each grouping; they sum to 1.

    Returns:
        float32 (n, n), symmetric, each row sums to 1.

    Source:
        Yang et al., "Unified Contrastive Learning in Image-Text-Label Space", CVPR 2022, equations 3
        and 4 (positives that share a label); mixed as the soft targets of Wang et al., "MedCLIP", EMNLP
        2022, section 3.3.
    """
    targets = []
    for group, share in zip(groups, shares, strict=True):
        same = (group[:, None] == group[None]).float()
        targets.append(share * same / same.sum(dim=1, keepdim=True))
    return torch.stack(targets).sum(dim=0)


class ImageTextLoss(nn.Module):
    """Either loss, with its one learned number where it has one.

    Args:
        name: "convirt" or "clip".
        weight: ConVIRT's lambda; CLIP has none.
        temperature: ConVIRT's tau; where CLIP's begins.
    """

    def __init__(self, name: str, weight: float, temperature: float) -> None:
        super().__init__()
        self.name, self.weight, self.temperature = name, weight, temperature
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=name == "clip")

    def forward(self, images: Tensor, texts: Tensor, target: Tensor | None = None) -> Tensor:
        """(n, d), (n, d) and maybe (n, n) to a scalar."""
        if self.name == "clip":
            return clip(images, texts, self.log_scale, target)
        return convirt(images, texts, self.weight, self.temperature, target)


def _cosines(images: Tensor, texts: Tensor) -> Tensor:
    return functional.normalize(images.float(), dim=1) @ functional.normalize(texts.float(), dim=1).T


def _both_ways(logits: Tensor, weight: float, target: Tensor | None) -> Tensor:
    if target is None:
        target = torch.eye(len(logits), device=logits.device)
    to_text = functional.cross_entropy(logits, target)
    to_image = functional.cross_entropy(logits.T, target)
    return weight * to_text + (1.0 - weight) * to_image
