"""A joint space over sequences: an encoder and a decoder a sequence, and the product of those present."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.losses.product_of_experts import Gaussian, product_of_experts

SIDE = 64
GRID = 8


class JointSpace(nn.Module):
    """Spatial latents of `channels` x 8 x 8, of pictures of 64 x 64.

    Attributes:
        dimension: of the latent: channels * 64.
    """

    def __init__(self, sequences: int, channels: int, width: int) -> None:
        super().__init__()
        self.channels, self.dimension = channels, channels * GRID * GRID
        self.encoders = nn.ModuleList(_encoder(width, 2 * channels) for _ in range(sequences))
        self.decoders = nn.ModuleList(_decoder(width, channels) for _ in range(sequences))

    def experts(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(n, s, 64, 64) in [0, 1] to means and log variances, each (n, s, dimension)."""
        drawn = [
            encoder(pictures[:, number : number + 1]).float() for number, encoder in enumerate(self.encoders)
        ]
        halves = torch.stack(drawn, 1)
        mean, log_variance = halves.flatten(3).flatten(2).chunk(2, 2)
        return mean, log_variance.clamp(-8.0, 4.0)

    def posterior(self, pictures: Tensor, present: Tensor) -> Gaussian:
        """What the sequences that are present agree on.

        Args:
            pictures: (n, s, 64, 64) in [0, 1].
            present: (n, s) bool.

        Raises:
            TrainingError: there are not as many sequences as were learned.
        """
        if pictures.shape[1] != len(self.encoders):
            raise TrainingError(f"{pictures.shape[1]} sequences were given, {len(self.encoders)} are known.")
        mean, log_variance = self.experts(pictures)
        return product_of_experts(mean, log_variance, present)

    def draw(self, latent: Tensor) -> Tensor:
        """(n, dimension) to every sequence's picture (n, s, 64, 64), about [0, 1]."""
        grid = latent.view(-1, self.channels, GRID, GRID)
        return torch.cat([decoder(grid) for decoder in self.decoders], 1)


class SequenceEncoder(nn.Module):
    """The image tower of one sequence of a joint space: its own posterior's mean.

    Takes the usual input (n, 3, side, side), side at least 64; its first plane, brought back to [0, 1], is
    read.
    """

    def __init__(self, space: JointSpace, sequence: int, mean: float, std: float) -> None:
        super().__init__()
        self.encoder, self.dimension = space.encoders[sequence], space.channels
        self.offset, self.factor = mean, std

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, channels, 8, 8): the latent, before it is flattened."""
        grey = images[:, :1] * self.factor + self.offset
        small = nn.functional.interpolate(grey, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        mean, log_variance = self.encoder(small).float().chunk(2, 1)
        shrunk: Tensor = mean / (1.0 + log_variance.clamp(-8.0, 4.0).exp())
        return shrunk

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, channels * 64)."""
        return self.feature_map(images).flatten(1)


def _encoder(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolved(1, width, 2), *_convolved(width, 2 * width, 2), *_convolved(2 * width, 4 * width, 2),
        *_convolved(4 * width, 4 * width, 1), nn.Conv2d(4 * width, out, 1),
    )  # fmt: skip


def _decoder(width: int, i: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolved(i, 4 * width, 1), nn.Upsample(scale_factor=2.0), *_convolved(4 * width, 2 * width, 1),
        nn.Upsample(scale_factor=2.0), *_convolved(2 * width, width, 1),
        nn.Upsample(scale_factor=2.0), nn.Conv2d(width, 1, 3, padding=1),
    )  # fmt: skip


def _convolved(i: int, o: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(4, o), nn.SiLU()
