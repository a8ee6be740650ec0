"""The two towers of an image-text model, each with its projection into the joint space."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.losses.info_nce import ImageTextLoss
from training.methods.image_text_configuration import ImageTextConfiguration, Tuned
from training.towers.huggingface import HuggingFaceVision
from training.towers.mobilenet import load_weights
from training.towers.text import TextTower, text_folder
from training.towers.trunks import Trunks, make_trunk

IMAGE_FOLDER: Final = "image"
TEXT_FOLDER: Final = "text"
# "last_blocks": of each trunk's parameter tensors, in the order they are defined, this share is tuned.
_LAST_SHARE: Final = 1 / 3
_GEM_POWER: Final = 3.0
_LEAST: Final = 1e-6


class PooledTower(nn.Module):
    """An image tower whose map is pooled by the generalized mean: (n, 3, h, w) to (n, dimension).

    Between the average (power 1) and the maximum (infinity): a small finding weighs more. Each of several
    trunks is pooled on its own grid. What is below zero counts as zero.

    Source:
        Radenovic, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", IEEE TPAMI
        41(7), 2019, equation 3.
    """

    def __init__(self, tower: nn.Module, power: float) -> None:
        super().__init__()
        self.tower, self.power = tower, power
        self.dimension = int(tower.dimension)  # type: ignore[arg-type]  # an ImageTower

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension, rows, columns)."""
        mapped: Tensor = self.tower.feature_map(images)  # type: ignore[operator]  # an ImageTower
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension)."""
        pooled = []
        for trunk in self.tower.towers if isinstance(self.tower, Trunks) else (self.tower,):
            mapped: Tensor = trunk.feature_map(images)  # type: ignore[operator]  # an ImageTower
            pooled.append(mapped.float().clamp(min=_LEAST).pow(self.power).mean((2, 3)).pow(1.0 / self.power))
        return torch.cat(pooled, dim=1)


class ProjectedImages(nn.Module):
    """An image tower and its projection: (n, 3, h, w) to the joint space (n, dimension)."""

    def __init__(self, tower: nn.Module, width: int, head: nn.Module, dimension: int) -> None:
        super().__init__()
        self.tower, self.head = tower, head
        self.width, self.dimension = width, dimension

    def feature_map(self, images: Tensor) -> Tensor:
        """The tower's map (n, width, rows, columns)."""
        mapped: Tensor = self.tower.feature_map(images)  # type: ignore[operator]  # an ImageTower
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension), not normalised."""
        projected: Tensor = self.head(self.tower(images))
        return projected


class ProjectedTexts(nn.Module):
    """A text tower and its projection: tokens to the joint space (n, dimension)."""

    def __init__(self, tower: TextTower, head: nn.Module, dimension: int) -> None:
        super().__init__()
        self.tower, self.head, self.dimension = tower, head, dimension

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers has no types
        """Of transformers; its `backend_tokenizer` is that of tokenizer.json."""
        return self.tower.tokenizer

    @property
    def max_tokens(self) -> int:
        """What is longer is cut."""
        return self.tower.max_tokens

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 (n, tokens) each to (n, dimension), not normalised."""
        projected: Tensor = self.head(self.tower(input_ids, attention_mask))
        return projected


class ImageTextModel(nn.Module):
    """Both sides and the loss with its temperature; what is frozen stays in evaluation mode."""

    def __init__(self, image: ProjectedImages, text: ProjectedTexts, wanted: ImageTextConfiguration) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.loss = ImageTextLoss(wanted.loss, wanted.text_weight, wanted.temperature)
        self.tunes_text = wanted.tune_text_tower
        # Batch statistics are learned only where there were none: batches are small.
        self.learns_statistics = wanted.initialisation == "random" and wanted.tune_image_tower == "all"
        _freeze(image.tower, wanted.tune_image_tower)
        text.tower.requires_grad_(wanted.tune_text_tower)

    def train(self, mode: bool = True) -> ImageTextModel:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        if not self.learns_statistics:
            self.image.tower.eval()
        if not self.tunes_text:
            self.text.tower.eval()
        return self

    def groups(self, wanted: ImageTextConfiguration) -> list[dict[str, Any]]:
        """What the optimizer moves, towers and heads at their own rates."""
        towers = [p for side in (self.image.tower, self.text.tower) for p in side.parameters()]
        heads = [p for part in (self.image.head, self.text.head, self.loss) for p in part.parameters()]
        groups = ((towers, wanted.rate_of_towers), (heads, wanted.head_rate))
        return [
            {"params": tuned, "lr": rate}
            for parameters, rate in groups
            if (tuned := [p for p in parameters if p.requires_grad])
        ]


def new_model(wanted: ImageTextConfiguration) -> ImageTextModel:
    """Both towers as the initialisation says, with fresh projections.

    Raises:
        TrainingError: weights or a folder are missing or do not fit.
    """
    tower = _image_tower(wanted)
    if wanted.initialisation == "clip" and wanted.image_folder is not None:
        folder = wanted.image_folder
    else:
        folder = text_folder(wanted.text_encoder)
    text = TextTower.open(folder, pooling=wanted.pooling, max_tokens=wanted.max_tokens)
    return assembled(wanted, tower, text)


def stored_architecture(wanted: ImageTextConfiguration, run: Path) -> ImageTextModel:
    """The networks of a run, weights drawn, from what the run itself holds.

    Raises:
        TrainingError: the run's folder lacks its tokenizer or a configuration.
    """
    trunks = [make_trunk(name, run / IMAGE_FOLDER) for name in wanted.trunks]
    text = TextTower.open(
        run / TEXT_FOLDER, pooling=wanted.pooling, max_tokens=wanted.max_tokens, random=True
    )
    return assembled(wanted, trunks[0] if len(trunks) == 1 else Trunks(*trunks), text)


def save_architecture(model: ImageTextModel, run: Path) -> None:
    """Write what `stored_architecture` needs beside the weights."""
    model.text.tower.save(run / TEXT_FOLDER)
    for module in model.image.tower.modules():
        if isinstance(module, HuggingFaceVision):
            module.model.config.save_pretrained(run / IMAGE_FOLDER)


def assembled(wanted: ImageTextConfiguration, tower: nn.Module, text: TextTower) -> ImageTextModel:
    """Towers with projections whose weights are drawn."""
    if wanted.image_pooling == "gem":
        tower = PooledTower(tower, _GEM_POWER)
    width = int(tower.dimension)  # type: ignore[arg-type]  # an ImageTower
    image = ProjectedImages(tower, width, _head(width, wanted, wanted.image_dropout), wanted.dimension)
    projected = ProjectedTexts(text, _head(text.dimension, wanted, wanted.text_dropout), wanted.dimension)
    return ImageTextModel(image, projected, wanted)


def _image_tower(wanted: ImageTextConfiguration) -> nn.Module:
    pretrained = wanted.initialisation in ("imagenet", "clinical", "clip")
    files = iter(wanted.image_weights)
    trunks = []
    for name in wanted.trunks:
        trunk = make_trunk(name, wanted.image_folder, random=not pretrained)
        if pretrained and name != "huggingface":
            load_weights(trunk, next(files))
        trunks.append(trunk)
    return trunks[0] if len(trunks) == 1 else Trunks(*trunks)


def _head(width: int, wanted: ImageTextConfiguration, dropout: float) -> nn.Module:
    """Standardised features, so that no trunk drowns another; then ConVIRT's projection, or a linear one."""
    first: list[nn.Module] = [nn.BatchNorm1d(width, affine=False), nn.Dropout(dropout)]
    if not wanted.hidden:
        return nn.Sequential(*first, nn.Linear(width, wanted.dimension))
    return nn.Sequential(
        *first,
        nn.Linear(width, wanted.hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(wanted.hidden, wanted.dimension),
    )


def _freeze(tower: nn.Module, tuned: Tuned) -> None:
    tower.requires_grad_(tuned == "all")
    if tuned != "last_blocks":
        return
    inner = tower.tower if isinstance(tower, PooledTower) else tower
    for trunk in inner.towers if isinstance(inner, Trunks) else (inner,):
        tensors = list(trunk.parameters())
        if not tensors:
            raise TrainingError(f"{type(trunk).__name__} has no weights to tune.")
        for tensor in tensors[-max(1, round(len(tensors) * _LAST_SHARE)) :]:
            tensor.requires_grad_(True)
