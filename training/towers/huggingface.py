"""Vision models in Hugging Face folders, and the image side of CLIP-like ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import TrainingError


class HuggingFaceVision(nn.Module):
    """Any vision model of transformers as an image tower.

    Of a transformer, the tokens of the patches are the map, and the tokens before them (class token,
    registers) are left out of it; a convolutional model gives its map itself. The vector is the map's
    mean, so that the map explains it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        vision: Any = getattr(model, "vision_model", model)
        self.model = vision
        configuration: Any = vision.config
        sizes = getattr(configuration, "hidden_sizes", None)
        self.dimension = int(sizes[-1] if sizes else configuration.hidden_size)

    @classmethod
    def open(cls, folder: Path, *, random: bool = False) -> HuggingFaceVision:
        """Read a folder with config.json and weights; `random` takes its architecture alone.

        Raises:
            TrainingError: transformers cannot make a vision model from it.
        """
        from transformers import AutoConfig, AutoModel  # noqa: PLC0415 - seconds, and only here

        try:
            if random:
                model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
            else:
                model = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise TrainingError(f"{folder} is no folder of a Hugging Face vision model: {error}") from error
        return cls(model)

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension, rows, columns)."""
        found: Tensor = self.model(pixel_values=images).last_hidden_state
        if found.ndim == 4:
            return found
        rows, columns = self._grid(images)
        return torch.unflatten(found[:, -rows * columns :].transpose(1, 2), 2, (rows, columns))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension)."""
        return self.feature_map(images).mean((2, 3))

    def _grid(self, images: Tensor) -> tuple[int, int]:
        patch = self.model.config.patch_size
        high, wide = patch if isinstance(patch, (tuple, list)) else (patch, patch)
        return math.floor(images.shape[2] / high), math.floor(images.shape[3] / wide)
