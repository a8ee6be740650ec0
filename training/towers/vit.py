"""A small vision transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.errors import TrainingError


class VisionTransformer(nn.Module):
    """Patches as words: by default ViT-Ti, 192 dimensions at stride 16, 5.5 million parameters.

    The vector is the mean of the patches' tokens, so that the map explains it. Positions are learned on
    a grid and interpolated where the image has another size.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; sizes of Touvron et al.,
        "Training data-efficient image transformers", ICML 2021.
    """

    def __init__(
        self, side: int = 224, patch: int = 16, dimension: int = 192, depth: int = 12, heads: int = 3
    ) -> None:
        super().__init__()
        self.dimension, self.patch = dimension, patch
        self.patches = nn.Conv2d(3, dimension, patch, patch)
        self.positions = nn.Parameter(torch.empty(1, dimension, side // patch, side // patch))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(
                    dimension,
                    heads,
                    4 * dimension,
                    dropout=0.0,
                    activation="gelu",
                    batch_first=True,
                    norm_first=True,
                )
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(dimension)

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension, h / patch, w / patch).

        Raises:
            TrainingError: a side of the images is no multiple of the patch.
        """
        if images.shape[2] % self.patch or images.shape[3] % self.patch:
            raise TrainingError(
                f"Images of {images.shape[2]} x {images.shape[3]} cannot be cut into patches of "
                f"{self.patch}: take a multiple of it."
            )
        mapped = self.patches(images)
        rows, columns = mapped.shape[2:]
        positions: Tensor = self.positions
        if positions.shape[2:] != mapped.shape[2:]:
            positions = functional.interpolate(
                positions, (rows, columns), mode="bicubic", align_corners=False
            )
        tokens = self.norm(self.blocks((mapped + positions).flatten(2).transpose(1, 2)))
        return torch.unflatten(tokens.transpose(1, 2), 2, (rows, columns))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension)."""
        return self.feature_map(images).mean((2, 3))
