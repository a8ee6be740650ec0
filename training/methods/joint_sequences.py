"""A multimodal variational autoencoder: one latent a patient's slice, from whichever sequences are there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, warm_cosine
from training.images import MEAN, STD
from training.losses.product_of_experts import negative_elbo, product_of_experts
from training.methods.sequence_batches import batch_of
from training.methods.sequence_slices import SequenceSlices
from training.towers.joint import SIDE, JointSpace, SequenceEncoder


class JointConfiguration(BaseModel):
    """How the joint space is learned, and the fold it is learned on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["joint-sequences"] = "joint-sequences"
    sequences: tuple[str, ...] = Field(min_length=2, description="In the order of the latent's experts.")
    channels: int = Field(default=8, ge=1, description="Of the latent, which has 8 x 8 cells.")
    width: int = Field(default=16, ge=4, multiple_of=4)
    beta: float = Field(default=1.0, ge=0, le=10, description="Of the divergence, once annealed.")
    annealed_steps: int = Field(default=200, ge=1)
    scale: float = Field(default=0.1, gt=0, description="Standard deviation of a pixel.")
    groups: int = Field(default=24, ge=2, description="Slices a batch.")
    augmented: bool = True
    learning_rate: float = Field(default=1e-3, gt=0)
    steps: int = Field(default=600, ge=1)
    warm_up: int = Field(default=20, ge=1)
    folds: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    fit: FitSettings = FitSettings(bfloat16=False)


@dataclass(frozen=True, slots=True)
class JointBatch:
    """Slices: pictures (n, s, 64, 64) in [0, 1], zero where present (n, s) is false; beta of the step."""

    pictures: Tensor
    present: Tensor
    beta: float


class JointMethod:
    """The method over the training part of a fold.

    Raises:
        TrainingError: fewer than two patients have a slice in two sequences, or the sequences are not those
            of the configuration.
    """

    def __init__(self, configuration: JointConfiguration, slices: SequenceSlices) -> None:
        slices.refuse_lone_sequences()
        if slices.sequences != configuration.sequences:
            raise TrainingError(
                f"The images' sequences are {slices.sequences}, not {configuration.sequences}."
            )
        self._configuration, self._slices = configuration, slices
        self._numbers = np.unique(slices.slice)
        self.space = build(configuration)
        self.model: nn.Module = self.space
        self.steps = configuration.steps
        self._rate = warm_cosine(configuration.steps, configuration.warm_up)
        self.optimizer: Optimizer = torch.optim.Adam(self.model.parameters(), configuration.learning_rate)

    def batch(self, step: int) -> JointBatch:
        """Slices drawn by seed and step alone."""
        wanted = self._configuration
        rng = np.random.default_rng((wanted.fit.seed, step))
        count = min(wanted.groups, len(self._numbers))
        chosen = rng.choice(self._numbers, count, replace=False)
        generator = torch.Generator().manual_seed(wanted.fit.seed * 1_000_003 + step)
        pictures, present = joined(self._slices, chosen, generator if wanted.augmented else None)
        beta = wanted.beta * min((step + 1) / wanted.annealed_steps, 1.0)
        return JointBatch(pictures.to(wanted.fit.device), present.to(wanted.fit.device), beta)

    def rate(self, step: int) -> float:
        """Warm, then a cosine."""
        return self._rate(step)

    def losses(self, batch: JointBatch) -> Mapping[str, Tensor]:
        """The bound of all that is present, plus each sequence's own and that of one drawn subset.

        Source: Wu and Goodman, NeurIPS 2018, section 2.3 (sub-sampled training), equation 4.
        """
        experts = self.space.experts(batch.pictures)
        joint = self._bound(batch, experts, batch.present)
        only = torch.eye(batch.present.shape[1], dtype=torch.bool, device=batch.present.device)
        alone = torch.stack([self._bound(batch, experts, batch.present & row) for row in only]).mean()
        drawn = torch.rand(batch.present.shape, device=batch.present.device) < 0.5
        subset = self._bound(batch, experts, batch.present & drawn)
        return {"loss": joint + alone + subset, "joint": joint, "alone": alone, "subset": subset}

    def _bound(self, batch: JointBatch, experts: tuple[Tensor, Tensor], present: Tensor) -> Tensor:
        """Nats a pixel; rows in which nothing is present are left out."""
        rows = present.any(1)
        if not bool(rows.any()):
            return experts[0].sum() * 0.0
        mean, log_variance = experts
        there = present[rows]
        posterior = product_of_experts(mean[rows], log_variance[rows], there)
        drawn = self.space.draw(posterior.sample())
        bound = negative_elbo(
            drawn, batch.pictures[rows], there, posterior, beta=batch.beta, scale=self._configuration.scale
        )
        return bound / (SIDE * SIDE)


def build(configuration: JointConfiguration) -> JointSpace:
    """The network with random weights."""
    return JointSpace(len(configuration.sequences), configuration.channels, configuration.width)


def joined(
    slices: SequenceSlices, numbers: NDArray[np.intp], generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Slices by number, their sequences side by side.

    Returns:
        pictures (n, s, 64, 64) in [0, 1], zero where one is missing, and present (n, s) bool.
    """
    indices = np.flatnonzero(np.isin(slices.slice, numbers))
    rows = np.searchsorted(np.sort(numbers), slices.slice[indices])
    batch = batch_of(slices, indices, rows, generator)
    pictures = torch.zeros(len(numbers), len(slices.sequences), SIDE, SIDE)
    present = torch.zeros(len(numbers), len(slices.sequences), dtype=torch.bool)
    row, column = torch.from_numpy(rows), batch.sequence
    pictures[row, column] = batch.pictures[:, 0]
    present[row, column] = True
    return pictures, present


def load_space(run: Path) -> tuple[JointConfiguration, JointSpace]:
    """The learned space of a run. Raises TrainingError when the folder holds no finished run."""
    try:
        text = (run / CONFIGURATION_NAME).read_text(encoding="utf-8")
        configuration = JointConfiguration.model_validate(json.loads(text))
        space = build(configuration)
        space.load_state_dict(torch.load(RunFolder(run).model, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise TrainingError(f"{run} holds no finished run: {error.filename} is missing.") from error
    except (ValidationError, RuntimeError) as error:
        raise TrainingError(f"{run} does not hold a run of the method joint-sequences: {error}") from error
    space.eval()
    return configuration, space


def load_tower(run: Path, sequence: str = "") -> nn.Module:
    """The image tower of one sequence of a run, ready to give vectors in the joint space.

    Raises:
        TrainingError: the folder holds no finished run, or the sequence is not one of it.
    """
    configuration, space = load_space(run)
    if sequence not in configuration.sequences:
        raise TrainingError(
            f"Name the sequence to embed, one of {', '.join(configuration.sequences)}: each has its encoder."
        )
    return SequenceEncoder(space, configuration.sequences.index(sequence), MEAN[0], STD[0]).eval()
