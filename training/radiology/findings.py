"""The findings branch learns several labels at once, over views that the trunk has already seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from training.fit import warm_cosine
from training.losses.norm_softmax import norm_softmax
from training.radiology.labels import UNKNOWN, Task, drawn
from training.towers.radiology import FINDINGS_DIMENSION, FindingsBranch, freeze_statistics


class FindingsSettings(BaseModel):
    """How the findings branch learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=1500, ge=1)
    warm_up: int = Field(default=60, ge=0)
    batch_size: int = Field(default=96, ge=2)
    rate: float = Field(default=2e-3, gt=0, description="Of the new layers.")
    tuned_rate: float = Field(default=6e-4, gt=0, description="Of the layers that start from ImageNet.")
    weight_decay: float = Field(default=1e-3, ge=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    scale: float = Field(default=12.0, gt=0, description="Of the cosines in the softmax.")
    smoothing: float = Field(default=0.05, ge=0, lt=1)
    mixing: float = Field(default=0.3, ge=0, description="Beta distribution of mixed pairs; 0 mixes none.")


@dataclass(frozen=True, slots=True)
class FindingsBatch:
    """A batch after the trunk, (n, 64, r, c); row i is mixed with row `partner[i]` of the same data set.

    Attributes:
        trunk: bfloat16, mixed already.
        index: (n,) places of the images in the training set.
        partner: (n,) places of those they are mixed with.
        share: (n,) of the image itself, in [0.5, 1].
    """

    trunk: Tensor
    index: Tensor
    partner: Tensor
    share: Tensor


class FindingsModel(nn.Module):
    """The branch, and what is needed only while it learns: a proxy a class."""

    def __init__(self, branch: FindingsBranch, tasks: Sequence[Task], dropout: float) -> None:
        super().__init__()
        self.branch = branch
        self.dropout = nn.Dropout(dropout)
        self.proxies = nn.ParameterList(
            [torch.randn(len(task.classes), FINDINGS_DIMENSION) for task in tasks]
        )

    def forward(self, trunk: Tensor) -> Tensor:
        """(n, 64, r, c) to findings vectors (n, 128)."""
        pooled = self.branch.features(trunk).mean((2, 3))
        with torch.autocast(pooled.device.type, enabled=False):
            kept = self.dropout(pooled.float())[:, :, None, None]
            vectors: Tensor = self.branch.project(kept)[:, :, 0, 0]
        return vectors

    def train(self, mode: bool = True) -> FindingsModel:
        """Batch statistics stay as they are."""
        super().train(mode)
        freeze_statistics(self)
        return self


class FindingsMethod:
    """Implements `training.fit.Method`.

    Mixing is that of Verma et al., "Manifold Mixup", ICML 2019, at the trunk's end and inside one data
    set, so that it mixes findings and not organs.
    """

    def __init__(
        self,
        branch: FindingsBranch,
        views: Tensor,
        tasks: Sequence[Task],
        datasets: Sequence[str],
        shares: NDArray[np.float64],
        settings: FindingsSettings,
        seed: int,
    ) -> None:
        """Join the branch and what it learns from.

        Args:
            branch: is trained in place.
            views: bfloat16 (views, n, 64, r, c), the first as they are.
            tasks: of n targets each.
            datasets: (n,) names; images are mixed inside one.
            shares: (n,) how often each is drawn.
            settings: how.
            seed: of batches and new layers.
        """
        torch.manual_seed(seed)
        self._learner = FindingsModel(branch, tasks, settings.dropout)
        self.model: nn.Module = self._learner
        self._views, self._tasks = views, tasks
        self._dataset = np.unique(np.array(datasets), return_inverse=True)[1]
        self._shares, self._settings, self._seed = shares, settings, seed
        new = [self._learner.proxies, branch.project]
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            [
                {"params": list(branch.layers.parameters()), "lr": settings.tuned_rate},
                {"params": [p for part in new for p in part.parameters()], "lr": settings.rate},
            ],
            weight_decay=settings.weight_decay,
        )
        self.steps = settings.steps
        self.rate = warm_cosine(settings.steps, settings.warm_up)

    def batch(self, step: int) -> FindingsBatch:
        """Views drawn by the data sets' shares, mixed in pairs."""
        rng = np.random.default_rng((self._seed, step))
        size = self._settings.batch_size
        index = drawn(self._shares, size, rng)
        partner = index[_inside(self._dataset[index], rng)]
        share = np.ones(size)
        if self._settings.mixing:
            share = rng.beta(self._settings.mixing, self._settings.mixing, size)
            share = np.maximum(share, 1 - share)
        some, others = (
            self._views[torch.from_numpy(rng.integers(0, len(self._views), size)), torch.from_numpy(i)]
            for i in (index, partner)
        )
        weight = torch.from_numpy(share).float()[:, None, None, None]
        mixed = (weight * some + (1 - weight) * others).to(torch.bfloat16)
        return FindingsBatch(
            mixed.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(index),
            torch.from_numpy(partner),
            torch.from_numpy(share).float(),
        )

    def losses(self, batch: FindingsBatch) -> Mapping[str, Tensor]:
        """The weighted sum over tasks; a task counts for the images that have its label."""
        vectors = self._learner(batch.trunk.to(next(self._learner.parameters()).device))
        parts = {
            task.name: self._task_loss(task, proxies, vectors, batch)
            for task, proxies in zip(self._tasks, self._learner.proxies, strict=True)
        }
        total = torch.stack([task.weight * parts[task.name] for task in self._tasks]).sum()
        return {"loss": total, **parts}

    def _task_loss(self, task: Task, proxies: Tensor, vectors: Tensor, batch: FindingsBatch) -> Tensor:
        total, device = vectors.new_zeros(()), vectors.device
        for index, share in ((batch.index, batch.share), (batch.partner, 1 - batch.share)):
            known = task.targets[index] != UNKNOWN
            if known.any():
                losses = norm_softmax(
                    vectors[known.to(device)],
                    proxies,
                    task.targets[index][known].to(device),
                    scale=self._settings.scale,
                    smoothing=self._settings.smoothing,
                )
                total = total + (share[known].to(device) * losses).sum() / len(index)
        return total


def _inside(groups: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A permutation of places that keeps every place in its group."""
    order = np.arange(len(groups))
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        order[own] = rng.permutation(own)
    return order
