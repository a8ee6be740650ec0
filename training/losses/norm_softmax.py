"""Classification by cosine, so that what is learned is what retrieval measures."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def norm_softmax(
    vectors: Tensor, proxies: Tensor, targets: Tensor, *, scale: float, smoothing: float = 0.0
) -> Tensor:
    """Cross entropy over the cosines of vectors with one proxy a class.

    Args:
        vectors: (n, d), of any length.
        proxies: (classes, d), of any length.
        targets: (n,) int64.
        scale: by which cosines are multiplied; the inverse of the temperature.
        smoothing: share of the target that goes to all classes evenly.

    Returns:
        (n,) losses.

    Source:
        Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019, eq. 3;
        label smoothing: Szegedy et al., CVPR 2016.
    """
    cosines = functional.normalize(vectors, dim=1) @ functional.normalize(proxies, dim=1).T
    return functional.cross_entropy(scale * cosines, targets, label_smoothing=smoothing, reduction="none")
