"""Fine-tuning where some labels are wrong: a class head under generalized cross entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn import functional

from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, warm_cosine
from training.images import WHITE, normalised
from training.losses.generalized_cross_entropy import (
    cross_entropy,
    generalized_cross_entropy,
    truncated_generalized_cross_entropy,
)
from training.methods.cluster_views import Augmentation
from training.methods.label_noise import NoiseKind
from training.methods.labelled_pictures import balanced
from training.runs import tower_of
from training.towers.mobilenet import BLOCKS, MobileNetV2, load_weights

METHOD: Final = "noisy-labels"
Loss = Literal["cross-entropy", "generalized", "truncated"]
_CHUNK: Final = 32


class NoisyLabelsConfiguration(BaseModel):
    """What is learned from, how, and by which loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["noisy-labels"] = METHOD
    dataset: str = Field(min_length=1)
    label: str = "finding"
    start: Path | None = Field(
        default=None, description="Initial weights (.safetensors), or another run's folder; none: random."
    )
    tuned: Literal["tower", "head"] = Field(default="tower", description="head: the tower stays as it is.")
    frozen_blocks: int = Field(default=7, ge=0, le=len(BLOCKS), description="First blocks that do not learn.")
    projection: int = Field(default=0, ge=0, description="Dimension of the embedding; 0: the tower's own.")
    side: int = Field(default=160, ge=32, multiple_of=32, description="Of the images, in pixels.")
    loss: Loss = "generalized"
    q: float = Field(default=0.7, gt=0, le=1)
    k: float = Field(default=0.5, gt=0, lt=1, description="Truncated: labels at most as likely are left out.")
    truncated_from: float = Field(default=0.4, ge=0, le=1, description="Share of the steps before that.")
    noise: float = Field(default=0.0, ge=0, lt=1, description="Share of labels made wrong, as an experiment.")
    noise_kind: NoiseKind = "symmetric"
    batch_size: int = Field(default=24, ge=2)
    balanced: bool = Field(
        default=True,
        description="Classes equally often; it makes wrong labels of a rare class more frequent.",
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Of the class head and the projection.")
    tower_rate: float = Field(
        default=0.1, gt=0, le=1, description="The tower's rate over that; at 1 it falls apart in a few steps."
    )
    weight_decay: float = Field(default=1e-2, ge=0)
    steps: int = Field(default=300, ge=1)
    warm_up: int = Field(default=20, ge=1)
    folds: int = Field(default=5, ge=0, description="0: learn from all rows.")
    fold: int = Field(default=0, ge=0)
    fit: FitSettings = FitSettings()

    @model_validator(mode="after")
    def _consistent(self) -> NoisyLabelsConfiguration:
        if self.folds and self.fold >= self.folds:
            raise ValueError(f"There is no fold {self.fold} of {self.folds}.")
        if self.start is None and (self.tuned == "head" or self.frozen_blocks):
            raise ValueError("Random weights cannot be frozen: name a start, or tune the tower from block 0.")
        return self


class NoisyLabelTower(nn.Module):
    """MobileNetV2, its map projected to fewer dimensions where that is asked for."""

    def __init__(self, projection: int) -> None:
        super().__init__()
        self.trunk = MobileNetV2()
        self.dimension = projection or MobileNetV2.dimension
        self.projection = nn.Conv2d(MobileNetV2.dimension, projection, 1) if projection else nn.Identity()

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension, h / 32, w / 32)."""
        mapped: Tensor = self.projection(self.trunk.feature_map(images))
        return mapped

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, dimension): the map's average."""
        return self.feature_map(images).mean((2, 3))

    def project(self, features: Tensor) -> Tensor:
        """The trunk's averages (n, 1280) to (n, dimension), as `forward` would have."""
        projected: Tensor = self.projection(features[:, :, None, None])
        return projected.flatten(1)


class NoisyLabelModel(nn.Module):
    """The tower and a class head; what is frozen keeps its batch statistics, and so do all batch norms."""

    def __init__(self, configuration: NoisyLabelsConfiguration, classes: int) -> None:
        super().__init__()
        self.tower = NoisyLabelTower(configuration.projection)
        self.classes = nn.Linear(self.tower.dimension, classes)
        for part in _frozen(self.tower.trunk, configuration):
            part.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> NoisyLabelModel:
        """Learn with the batch statistics of the start: small, balanced batches have others."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self

    def forward(self, embedding: Tensor) -> Tensor:
        """Embeddings (n, dimension) to logits float32 (n, classes)."""
        with torch.autocast(embedding.device.type, enabled=False):
            logits: Tensor = self.classes(functional.relu(embedding.float()))
        return logits


def _frozen(trunk: MobileNetV2, configuration: NoisyLabelsConfiguration) -> list[nn.Module]:
    if configuration.tuned == "head":
        return [trunk]
    blocks = [trunk.blocks[number] for number in range(configuration.frozen_blocks)]
    return [trunk.stem, *blocks] if blocks else []


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """One step's images.

    Attributes:
        given: model inputs (n, 3, side, side), or (n, 1280) the frozen tower's features.
        target: int64 (n,).
        truncates: whether labels that are not believed are left out already.
    """

    given: Tensor
    target: Tensor
    truncates: bool


class NoisyLabelsMethod:
    """The method over pictures or, where the tower stays as it is, over its features.

    Args:
        configuration: the row of the table.
        given: uint8 (n, 3, side, side), or float32 (n, 1280) from `frozen_features`.
        target: int64 (n,), labels as they were given, wrong ones among them.
        classes: how many there are.

    Raises:
        TrainingError: there is no image, fewer than two classes, or the start cannot be read.
    """

    def __init__(
        self,
        configuration: NoisyLabelsConfiguration,
        given: Tensor,
        target: NDArray[np.int64],
        classes: int,
    ) -> None:
        if not len(target):
            raise TrainingError("There is no image to learn from.")
        if len(np.unique(target)) < 2:
            raise TrainingError("All images bear the same label: there is nothing to tell apart.")
        self._configuration, self._given, self._target = configuration, given, target
        self._augmentation = Augmentation()
        self.network = NoisyLabelModel(configuration, classes)
        start_from(self.network.tower.trunk, configuration.start)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: nn.Module = self.network
        self.steps = configuration.steps
        self.rate = warm_cosine(configuration.steps, configuration.warm_up)
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            _rates(self.network, configuration), weight_decay=configuration.weight_decay
        )

    def batch(self, step: int) -> LabelledBatch:
        """A draw by seed and step alone; pictures are augmented, features are not."""
        wanted = self._configuration
        random = np.random.default_rng((wanted.fit.seed, step))
        if wanted.balanced:
            indices = balanced(self._target, wanted.batch_size, random)
        else:
            indices = random.integers(0, len(self._target), wanted.batch_size)
        given = self._given[torch.from_numpy(indices)].to(wanted.fit.device)
        if given.ndim == 4:
            generator = torch.Generator().manual_seed(wanted.fit.seed * 1_000_003 + step)
            given = normalised(self._augmentation.view(given.float() / WHITE, generator))
            given = given.contiguous(memory_format=torch.channels_last)
        target = torch.from_numpy(self._target[indices]).to(wanted.fit.device)
        return LabelledBatch(given, target, step >= wanted.truncated_from * wanted.steps)

    def losses(self, batch: LabelledBatch) -> Mapping[str, Tensor]:
        """The mean loss of the batch, and the share of its labels that the network would give too."""
        tower = self.network.tower
        embedding = tower(batch.given) if batch.given.ndim == 4 else tower.project(batch.given)
        logits = self.network(embedding)
        agreed = (logits.argmax(1) == batch.target).float().mean()
        return {"loss": self._loss(logits, batch).mean(), "agreed": agreed}

    def _loss(self, logits: Tensor, batch: LabelledBatch) -> Tensor:
        wanted = self._configuration
        if wanted.loss == "cross-entropy":
            return cross_entropy(logits, batch.target)
        if wanted.loss == "truncated" and batch.truncates:
            return truncated_generalized_cross_entropy(logits, batch.target, wanted.q, wanted.k)
        return generalized_cross_entropy(logits, batch.target, wanted.q)


def _rates(model: NoisyLabelModel, configuration: NoisyLabelsConfiguration) -> list[dict[str, Any]]:
    rate, trunk = configuration.learning_rate, model.tower.trunk
    new = [*model.classes.parameters(), *model.tower.projection.parameters()]
    tuned = [p for p in trunk.parameters() if p.requires_grad]
    groups = [{"params": new, "lr": rate}]
    return [*groups, {"params": tuned, "lr": rate * configuration.tower_rate}] if tuned else groups


def start_from(trunk: MobileNetV2, start: Path | None) -> None:
    """Take the weights of a file, or of the MobileNetV2 inside another run's tower; None leaves them drawn.

    Raises:
        TrainingError: the file or the run cannot be read, or its tower holds no MobileNetV2.
    """
    if start is None:
        return
    if not start.is_dir():
        load_weights(trunk, start)
        return
    try:
        tower = tower_of(start)
    except TrainingError as error:
        raise TrainingError(f"{start} holds no run with an image tower: {error}") from error
    found = [part for part in tower.modules() if isinstance(part, MobileNetV2)]
    if not found:
        raise TrainingError(f"The tower of {start} holds no MobileNetV2: start from another run.")
    trunk.load_state_dict(found[0].state_dict())


def load_tower(run: Path) -> NoisyLabelTower:
    """The learned image tower of a run, in evaluation mode.

    Raises:
        TrainingError: the folder holds no finished run of this method.
    """
    return load_model(run).tower


def load_model(run: Path) -> NoisyLabelModel:
    """The learned tower with its class head. Raises TrainingError as `load_tower` does."""
    try:
        text = (run / CONFIGURATION_NAME).read_text(encoding="utf-8")
        configuration = NoisyLabelsConfiguration.model_validate_json(text)
        state = torch.load(RunFolder(run).model, map_location="cpu", weights_only=True)
        model = NoisyLabelModel(configuration, len(state["classes.weight"]))
        model.load_state_dict(state)
    except FileNotFoundError as error:
        raise TrainingError(f"{run} holds no finished run: {error.filename} is missing.") from error
    except (ValidationError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{run} does not hold a run of the method {METHOD}: {error}") from error
    return model.eval()


@torch.inference_mode()
def pooled(tower: nn.Module, images: Tensor, settings: FitSettings) -> Tensor:
    """Pooled vectors float32 (n, d) on the CPU, of pictures uint8 (n, 3, side, side)."""
    tower.to(settings.device).eval()
    vectors = []
    for some in images.split(_CHUNK):
        given = normalised(some.to(settings.device).float() / WHITE)
        with torch.autocast(settings.device.partition(":")[0], torch.bfloat16, enabled=settings.bfloat16):
            vectors.append(tower(given.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(vectors)


def frozen_features(configuration: NoisyLabelsConfiguration, images: Tensor) -> Tensor:
    """What the tower says before anything is learned, float32 (n, 1280), of uint8 (n, 3, side, side)."""
    trunk = MobileNetV2()
    start_from(trunk, configuration.start)
    return pooled(trunk.to(memory_format=torch.channels_last), images, configuration.fit)  # type: ignore[call-overload]
