"""Multi-sequence supervised contrast: the sequences of one slice, or of one patient, lie together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from evaluation.folds import Fold
from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, warm_cosine
from training.images import normalised
from training.losses.lesion_map import lesion_map
from training.losses.reconstruction import reconstruction
from training.losses.sup_con import late_interaction, sup_con, sup_con_of
from training.methods.sequence_batches import SequenceBatch, View, batch_of, draw
from training.methods.sequence_slices import SequenceSlices
from training.towers.mobilenet import MobileNetV2, load_weights
from training.towers.pyramid import STAGES, MobilePyramid, Pyramid, ResNetPyramid
from training.towers.resnet import ResNet18
from training.towers.sequences import Embedding, MapShape, SequenceTower


class SequencesConfiguration(BaseModel):
    """A row of the method's table, and the fold it is learned on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["sequences"] = "sequences"
    backbone: Literal["mobilenetv2", "resnet18"] = "mobilenetv2"
    weights: Path | None = Field(default=None, description="Initial weights (ImageNet); none: random.")
    side: int = Field(default=160, ge=64, multiple_of=32, description="Of the images, in pixels.")
    view: View = Field(default="any", description="Slices of a batch: best, any, or a whole volume.")
    groups: int = Field(default=12, ge=2, description="Batch size: slices, or of volumes patients.")
    slices_per_volume: int = Field(default=4, ge=2)
    volume: Literal["mean", "late interaction"] = Field(default="mean", description="How volumes compare.")
    positives: Literal["slice", "patient"] = "slice"
    augmented: bool = True
    contrastive_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.1, gt=0)
    reconstruction_weight: float = Field(default=0.0, ge=0)
    lesion_weight: float = Field(default=0.0, ge=0, description="Above zero: supervised by lesion masks.")
    embedding: Embedding = "pooled"
    map_side: int = Field(default=20, ge=4)
    map_blur: float = Field(default=1.0, ge=0, le=8, description="In cells of stride 4.")
    map_power: float = Field(default=0.5, gt=0, le=2)
    mirrored: bool = Field(default=True, description="The map is averaged with that of the mirrored image.")
    frozen_stages: int = Field(default=0, ge=0, le=STAGES)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    steps: int = Field(default=300, ge=1)
    warm_up: int = Field(default=20, ge=1)
    folds: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    fit: FitSettings = FitSettings()

    @model_validator(mode="after")
    def _consistent(self) -> SequencesConfiguration:
        if not self.contrastive_weight + self.reconstruction_weight + self.lesion_weight:
            raise ValueError("Nothing is learned: give one of the three losses a weight.")
        if "map" in self.embedding and not self.lesion_weight:
            raise ValueError(f"The embedding {self.embedding} needs a lesion_weight above zero.")
        if self.fold >= self.folds:
            raise ValueError(f"There is no fold {self.fold} of {self.folds}.")
        if self.frozen_stages and self.weights is None:
            raise ValueError("Stages with random weights cannot be frozen.")
        return self

    @property
    def shape(self) -> MapShape:
        """How the lesion map becomes a vector."""
        return MapShape(self.map_side, self.map_blur, self.map_power, self.mirrored)


class SequencesMethod:
    """The method over the training part of a fold.

    Raises:
        TrainingError: fewer than two patients have a slice in two sequences, or there is no lesion where
            lesions are asked for.
    """

    def __init__(self, configuration: SequencesConfiguration, slices: SequenceSlices) -> None:
        slices.refuse_lone_sequences()
        if configuration.lesion_weight and not slices.masks.any():
            raise TrainingError("No image has a lesion mask: set lesion_weight to 0.")
        self._configuration, self._slices = configuration, slices
        self.tower = build(configuration)
        if configuration.weights is not None:
            load_weights(self.tower.pyramid.tower, configuration.weights)
        self.tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: nn.Module = self.tower
        self.steps = configuration.steps
        self._rate = warm_cosine(configuration.steps, configuration.warm_up)
        learned = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer: Optimizer = torch.optim.AdamW(
            learned, configuration.learning_rate, weight_decay=configuration.weight_decay
        )

    def batch(self, step: int) -> SequenceBatch:
        """Groups drawn by seed and step alone."""
        wanted = self._configuration
        rng = np.random.default_rng((wanted.fit.seed, step))
        indices, labels = draw(self._slices, wanted.view, wanted.groups, wanted.slices_per_volume, rng)
        if wanted.positives == "patient":
            labels = np.unique(self._slices.patient[indices], return_inverse=True)[1]
        generator = torch.Generator().manual_seed(wanted.fit.seed * 1_000_003 + step)
        batch = batch_of(self._slices, indices, labels, generator if wanted.augmented else None)
        device = wanted.fit.device
        return SequenceBatch(
            batch.pictures.to(device),
            batch.masks.to(device),
            batch.label.to(device),
            batch.sequence.to(device),
        )

    def rate(self, step: int) -> float:
        """Warm, then a cosine."""
        return self._rate(step)

    def losses(self, batch: SequenceBatch) -> Mapping[str, Tensor]:
        """The losses that have a weight, and their weighted sum."""
        wanted, tower = self._configuration, self.tower
        maps = tower.maps(as_input(batch.pictures))
        parts: dict[str, Tensor] = {}
        total = torch.zeros((), device=batch.pictures.device)
        if wanted.contrastive_weight:
            parts["contrastive"] = self._contrastive(tower.contrasted(maps), batch.label)
            total = total + wanted.contrastive_weight * parts["contrastive"]
        if wanted.reconstruction_weight:
            drawn = tower.picture(maps[-1].mean((2, 3)))
            parts["reconstruction"] = reconstruction(drawn, batch.pictures)
            total = total + wanted.reconstruction_weight * parts["reconstruction"]
        if wanted.lesion_weight:
            logits = tower.lesion(maps)
            share = functional.adaptive_avg_pool2d(batch.masks, (logits.shape[2], logits.shape[3]))
            parts["lesion"] = lesion_map(logits, share)
            total = total + wanted.lesion_weight * parts["lesion"]
        return {"loss": total, **parts}

    def _contrastive(self, vectors: Tensor, label: Tensor) -> Tensor:
        wanted = self._configuration
        if wanted.view != "volume":
            return sup_con(vectors, label, wanted.temperature)
        sets = vectors.view(-1, wanted.slices_per_volume, vectors.shape[1])
        of_set = label[:: wanted.slices_per_volume]
        if wanted.volume == "mean":
            return sup_con(functional.normalize(sets.float(), dim=2).mean(1), of_set, wanted.temperature)
        return sup_con_of(late_interaction(sets), of_set, wanted.temperature)


def build(configuration: SequencesConfiguration) -> SequenceTower:
    """The network with random weights."""
    frozen = configuration.frozen_stages
    pyramid: Pyramid
    if configuration.backbone == "mobilenetv2":
        pyramid = MobilePyramid(MobileNetV2(), frozen)
    else:
        pyramid = ResNetPyramid(ResNet18(), frozen)
    return SequenceTower(pyramid, configuration.embedding, configuration.shape)


def as_input(pictures: Tensor) -> Tensor:
    """Pictures (n, 1, h, w) in [0, 1] to the model's input (n, 3, h, w), ImageNet's mean and deviation."""
    return normalised(pictures).contiguous(memory_format=torch.channels_last)


def load_tower(run: Path) -> nn.Module:
    """The learned image tower of a run, ready to give vectors.

    Raises:
        TrainingError: the folder holds no finished run of this method.
    """
    folder = RunFolder(run)
    try:
        text = (run / CONFIGURATION_NAME).read_text(encoding="utf-8")
        tower = build(SequencesConfiguration.model_validate(json.loads(text)))
        tower.load_state_dict(torch.load(folder.model, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise TrainingError(f"{run} holds no finished run: {error.filename} is missing.") from error
    except (ValidationError, RuntimeError) as error:
        raise TrainingError(f"{run} does not hold a run of the method sequences: {error}") from error
    return tower.eval()


def training_part(slices: SequenceSlices, fold: Fold) -> SequenceSlices:
    """The images that a fold learns from."""
    return slices.at(fold.training)


@torch.inference_mode()
def embed(tower: nn.Module, slices: SequenceSlices, settings: FitSettings, batch: int = 64) -> Tensor:
    """Vectors of all images, float32 (n, d), on the CPU."""
    tower.to(settings.device).eval()
    vectors = []
    for start in range(0, len(slices), batch):
        indices = np.arange(start, min(start + batch, len(slices)))
        labels = np.zeros(len(indices), dtype=np.intp)
        pictures = batch_of(slices, indices, labels, None).pictures.to(settings.device)
        with torch.autocast(settings.device.partition(":")[0], torch.bfloat16, enabled=settings.bfloat16):
            vectors.append(tower(as_input(pictures)).float().cpu())
    return torch.cat(vectors)
