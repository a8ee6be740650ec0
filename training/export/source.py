"""What an export starts from, wherever it was read."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from inference.card import Input
from training.export.text import TextSource


@dataclass(frozen=True, slots=True)
class Source:
    """A model in torch, in evaluation mode.

    Attributes:
        tower: `feature_map(images)` gives (n, c, h, w), `forward(images)` (n, d).
        input: what it expects.
        text: its text side, of image-text models.
    """

    tower: nn.Module
    input: Input
    text: TextSource | None = None
