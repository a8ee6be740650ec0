"""The general branch learns to see what two larger ImageNet towers see, from images without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from evaluation.ranking import unit_vectors
from training.fit import warm_cosine
from training.images import in_unit_range
from training.losses.distillation import cosine_distillation, relational_distillation
from training.radiology.labels import drawn
from training.radiology.views import model_inputs
from training.towers.radiology import GENERAL_DIMENSION, GeneralBranch, freeze_statistics
from training.towers.tower import ImageTower

_SMALLEST: Final = 1e-6
_BATCH: Final = 32
_EIGENVALUE_FLOOR: Final = 1e-4


class GeneralSettings(BaseModel):
    """How the general branch learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=600, ge=0)
    warm_up: int = Field(default=40, ge=0)
    batch_size: int = Field(default=96, ge=2)
    rate: float = Field(default=5e-4, gt=0, description="Of the linear map.")
    tuned_rate: float = Field(default=3e-4, gt=0, description="Of the layers that start from ImageNet.")
    weight_decay: float = Field(default=1e-4, ge=0)
    relational_weight: float = Field(default=5.0, ge=0)
    ridge: float = Field(
        default=30.0, gt=0, description="Of the least squares that the linear map starts from."
    )


@torch.no_grad()
def pooled_features(tower: ImageTower, images: NDArray[np.uint8], power: float) -> NDArray[np.float32]:
    """Generalised means over a tower's maps: power 1 is the average, larger ones look for peaks.

    Args:
        tower: in evaluation mode.
        images: uint8 (n, side, side, 3).
        power: of the mean.

    Returns:
        float32 (n, d).

    Source:
        Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, eq. 2.
    """
    features = []
    for start in range(0, len(images), _BATCH):
        some = in_unit_range(images[start : start + _BATCH])
        with torch.autocast("cpu", torch.bfloat16):
            mapped = tower.feature_map(model_inputs(some))
        features.append(mapped.float().clamp_min(_SMALLEST).pow(power).mean((2, 3)).pow(1 / power).numpy())
    return np.concatenate(features)


def whitened(
    features: NDArray[np.float32], shares: NDArray[np.float64], dimension: int, power: float
) -> NDArray[np.float32]:
    """Unit rows over the principal axes, the strong axes made weaker.

    Args:
        features: (n, d).
        shares: (n,) weight of each row in mean and covariance; they add up to one.
        dimension: axes that are kept.
        power: 0 leaves their variances, 1 makes them equal.

    Returns:
        float32 (n, dimension).

    Source:
        Jégou and Chum, "Negative Evidences and Co-occurrences in Image Retrieval", ECCV 2012.
    """
    centred = features - (shares[:, None] * features).sum(0)
    variances, axes = np.linalg.eigh((centred * shares[:, None]).T @ centred)
    kept = np.argsort(variances)[::-1][:dimension]
    strength = (variances[kept] + _EIGENVALUE_FLOOR * variances[kept[0]]) ** (power / 2)
    return unit_vectors(centred @ axes[:, kept] / strength)


def start_by_least_squares(
    branch: GeneralBranch, features: NDArray[np.float32], teacher: NDArray[np.float32], ridge: float
) -> None:
    """Set the branch's linear map to what brings its features (n, 1280) nearest to the teacher's (n, 256)."""
    extended = np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1)
    normal = extended.T @ extended + ridge * np.eye(extended.shape[1], dtype=np.float32)
    solved = np.linalg.solve(normal, extended.T @ teacher).astype(np.float32)
    weight, bias = torch.from_numpy(solved[:-1].T.copy()), torch.from_numpy(solved[-1].copy())
    branch.project.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})


@dataclass(frozen=True, slots=True)
class GeneralBatch:
    """Views after the trunk, (n, 64, r, c), and the teacher's vectors of their images, (n, 256)."""

    trunk: Tensor
    teacher: Tensor


class GeneralModel(nn.Module):
    """The branch, with batch statistics that stay as they are."""

    def __init__(self, branch: GeneralBranch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, trunk: Tensor) -> Tensor:
        """(n, 64, r, c) to (n, 256)."""
        pooled = self.branch.features(trunk).mean((2, 3))
        with torch.autocast(pooled.device.type, enabled=False):
            vectors: Tensor = self.branch.project(pooled.float()[:, :, None, None])[:, :, 0, 0]
        return vectors

    def train(self, mode: bool = True) -> GeneralModel:
        """Batch statistics stay as they are."""
        super().train(mode)
        freeze_statistics(self)
        return self


class GeneralMethod:
    """Implements `training.fit.Method`: a view shall be what the teacher sees in the image itself."""

    def __init__(
        self,
        branch: GeneralBranch,
        views: Tensor,
        teacher: NDArray[np.float32],
        shares: NDArray[np.float64],
        settings: GeneralSettings,
        seed: int,
    ) -> None:
        """Join the branch and its teacher.

        Args:
            branch: is trained in place.
            views: bfloat16 (views, n, 64, r, c).
            teacher: (n, 256), unit rows.
            shares: (n,) how often each image is drawn.
            settings: how.
            seed: of the batches.
        """
        if teacher.shape[1] != GENERAL_DIMENSION:
            raise ValueError(f"The teacher has {teacher.shape[1]} dimensions, not {GENERAL_DIMENSION}.")
        self._student = GeneralModel(branch)
        self.model: nn.Module = self._student
        self._views, self._teacher, self._shares = views, torch.from_numpy(teacher), shares
        self._settings, self._seed = settings, seed
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            [
                {"params": list(branch.layers.parameters()), "lr": settings.tuned_rate},
                {"params": list(branch.project.parameters()), "lr": settings.rate},
            ],
            weight_decay=settings.weight_decay,
        )
        self.steps = settings.steps
        self.rate = warm_cosine(settings.steps, settings.warm_up)

    def batch(self, step: int) -> GeneralBatch:
        """Views drawn by the images' shares."""
        rng = np.random.default_rng((self._seed, step))
        index = torch.from_numpy(drawn(self._shares, self._settings.batch_size, rng))
        view = torch.from_numpy(rng.integers(0, len(self._views), self._settings.batch_size))
        trunk = self._views[view, index].contiguous(memory_format=torch.channels_last)
        return GeneralBatch(trunk, self._teacher[index])

    def losses(self, batch: GeneralBatch) -> Mapping[str, Tensor]:
        """Each vector near its teacher's, and all pairs as alike as the teacher's are."""
        device = next(self._student.parameters()).device
        vectors, teacher = self._student(batch.trunk.to(device)), batch.teacher.to(device)
        cosine = cosine_distillation(vectors, teacher)
        relational = relational_distillation(vectors, teacher)
        loss = cosine + self._settings.relational_weight * relational
        return {"loss": loss, "cosine": cosine, "relational": relational}
