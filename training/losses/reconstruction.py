"""Reconstruction loss: what a decoder draws, against the picture that was embedded."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from training.errors import TrainingError


def reconstruction(drawn: Tensor, pictures: Tensor) -> Tensor:
    """Mean squared error; the pictures are averaged down to the size of what was drawn.

    Args:
        drawn: (n, 1, h, w), unitless.
        pictures: (n, 1, H, W) in [0, 1], H >= h and W >= w.

    Returns:
        A scalar, the mean over pictures and pixels.

    Raises:
        TrainingError: the numbers of pictures differ, or more was drawn than there is to see.
    """
    if len(drawn) != len(pictures) or any(
        a > b for a, b in zip(drawn.shape[2:], pictures.shape[2:], strict=True)
    ):
        raise TrainingError(f"{tuple(drawn.shape)} was drawn of pictures {tuple(pictures.shape)}.")
    wanted = functional.adaptive_avg_pool2d(pictures.float(), (drawn.shape[2], drawn.shape[3]))
    return functional.mse_loss(drawn.float(), wanted)
