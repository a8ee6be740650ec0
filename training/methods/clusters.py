"""Deep clustering: images fall into clusters such that views of one image agree and no cluster is empty."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, fit, seed_everything, warm_cosine
from training.images import WHITE, normalised
from training.learned_from import LearnedFrom
from training.losses.dirichlet import dirichlet_prior, disagreement, mean_assignment
from training.methods.cluster_views import Augmentation, features_of_views, nearest
from training.towers.mobilenet import BLOCKS, MobileNetV2, load_weights

Pair = tuple[Tensor, Tensor]
_IMAGES_A_CLUSTER = 4
# Features of unit length vary little, those of an untrained tower least.
_EPSILON = 1e-12


class ClusterSettings(BaseModel):
    """Everything that a run of deep clustering depends on, beside its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["clusters"] = "clusters"
    weights: str = Field(default="", description="Initial weights of MobileNetV2; empty draws them.")
    clusters: int = Field(default=8, ge=2)
    side: int = Field(default=128, ge=32, description="Pixels.")
    tuned_blocks: int = Field(
        default=0, ge=0, le=len(BLOCKS), description="Last blocks of the tower that learn; 0: the head only."
    )
    views: int = Field(default=8, ge=2, description="Augmented views an image, where the tower is frozen.")
    neighbours: int = Field(
        default=0, ge=0, description="Of the frozen features: a neighbour may stand for a second view."
    )
    steps: int = Field(default=600, ge=1)
    batch_size: int = Field(default=256, ge=8)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    hidden: int = Field(default=256, ge=8)
    concentration: float = Field(default=2.0, gt=1, description="Of the symmetric Dirichlet.")
    prior_weight: float = Field(default=1.0, ge=0, description="0 leaves the prior out: clusters collapse.")
    fit: FitSettings = FitSettings(bfloat16=False)


class ClusterNetwork(nn.Module):
    """A tower whose batch statistics, and all but the last blocks, are frozen, and a head over it."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__()
        self.tower = MobileNetV2()
        if settings.weights:
            load_weights(self.tower, Path(settings.weights))
        self.frozen = len(BLOCKS) - settings.tuned_blocks
        self.tower.requires_grad_(requires_grad=False)
        if settings.tuned_blocks:
            for part in (self.tower.blocks[self.frozen :], self.tower.head):
                part.requires_grad_(requires_grad=True)
        self.head = nn.Sequential(
            nn.BatchNorm1d(self.tower.dimension, eps=_EPSILON, affine=False),
            nn.Linear(self.tower.dimension, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.clusters),
        )

    def train(self, mode: bool = True) -> ClusterNetwork:
        """The head learns its batch statistics, the tower keeps those that it has."""
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """Features (n, d), or normalised images (n, 3, h, w), to probabilities (n, clusters)."""
        features = self._features(seen) if seen.ndim == 4 else seen
        probabilities: Tensor = self.head(functional.normalize(features.float(), dim=1)).float().softmax(1)
        return probabilities

    def _features(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            early = self.tower.blocks[: self.frozen](self.tower.stem(images))
        late: Tensor = self.tower.head(self.tower.blocks[self.frozen :](early))
        return late.mean((2, 3))


@dataclass
class ClusterMethod:
    """Deep clustering over images in memory; see `training.fit.Method`.

    `images` is uint8 (n, 3, side, side). Where the tower is frozen, `features` (1 + views, n, d) are reckoned
    once and the images are not looked at again. `partners` (n, neighbours) are near images.
    """

    settings: ClusterSettings
    images: Tensor
    augmentation: Augmentation = field(default_factory=Augmentation)
    network: ClusterNetwork = field(init=False)
    model: nn.Module = field(init=False)
    optimizer: Optimizer = field(init=False)
    steps: int = field(init=False)
    features: Tensor = field(init=False)
    partners: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        """Draw the weights, and look at the images once.

        Raises:
            TrainingError: there are fewer than four images a cluster.
        """
        settings, device = self.settings, self.settings.fit.device
        if len(self.images) < _IMAGES_A_CLUSTER * settings.clusters:
            raise TrainingError(
                f"{len(self.images)} images are too few for {settings.clusters} clusters: ask for fewer "
                f"clusters, or bring at least {_IMAGES_A_CLUSTER * settings.clusters} images."
            )
        seed_everything(settings.fit)
        self.network = ClusterNetwork(settings).to(device)
        self.network.train()
        self.model = self.network
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimizer = AdamW(learning, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.steps = settings.steps
        self._rate = warm_cosine(settings.steps, max(1, settings.steps // 20))
        views = settings.views if not settings.tuned_blocks else 0
        self.features = features_of_views(
            self.network.tower, self.images, views, settings.fit.seed, self.augmentation, device
        )
        count = min(settings.neighbours, len(self.images) - 1)
        self.partners = nearest(self.features[0], count) if count else np.empty((0, 0), dtype=np.intp)

    def batch(self, step: int) -> Pair:
        """Two views of each of some images: features (n, d) or images (n, 3, h, w)."""
        rng = np.random.default_rng([self.settings.fit.seed, step])
        count = min(self.settings.batch_size, len(self.images))
        first = rng.choice(len(self.images), count, replace=False)
        second = first
        if self.partners.size:
            column = rng.integers(-1, self.partners.shape[1], count)
            second = np.where(column < 0, first, self.partners[first, column])
        if self.settings.tuned_blocks:
            return self._views_of_images(first, second, step)
        views = rng.permuted(np.tile(np.arange(len(self.features)), (count, 1)), axis=1)[:, :2]
        device = self.settings.fit.device
        return self.features[views[:, 0], first].to(device), self.features[views[:, 1], second].to(device)

    def losses(self, batch: Pair) -> Mapping[str, Tensor]:
        """The disagreement of both views and the prior on their mean assignment."""
        first, second = self.network(batch[0]), self.network(batch[1])
        apart = disagreement(first, second)
        prior = dirichlet_prior(mean_assignment(first, second), self.settings.concentration)
        return {"loss": apart + self.settings.prior_weight * prior, "disagreement": apart, "prior": prior}

    def rate(self, step: int) -> float:
        """A warm-up, then a cosine."""
        return self._rate(step)

    def _views_of_images(self, first: NDArray[np.intp], second: NDArray[np.intp], step: int) -> Pair:
        generator = torch.Generator().manual_seed(self.settings.fit.seed * 1_000_003 + step)
        seen = [
            normalised(
                self.augmentation.view(
                    self.images[torch.from_numpy(chosen)].to(self.settings.fit.device).float() / WHITE,
                    generator,
                )
            )
            for chosen in (first, second)
        ]
        return seen[0], seen[1]


def learn_clusters(
    images: Tensor, settings: ClusterSettings, run: RunFolder, names: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Learn the clusters of images, or take those of a finished run over the same images.

    Args:
        images: uint8 (n, 3, side, side).
        settings: of the run.
        run: its folder; a run that was cut off goes on.
        names: (n,) of the images, kept with the run; without them it is not known what it has seen.

    Returns:
        (n, clusters) probabilities, of the images without augmentation.

    Raises:
        TrainingError: too few images, another configuration or other images in the folder, or the weights
            cannot be read.
    """
    run.open(settings, LearnedFrom(images=tuple(names)) if names else None)
    if run.model.exists():
        return probabilities(load_network(run), images, settings.fit.device)
    method = ClusterMethod(settings, images)
    fit(method, run, settings.fit, title="clusters")
    return probabilities(method.network, images, settings.fit.device)


@torch.no_grad()
def probabilities(network: ClusterNetwork, images: Tensor, device: str = "cpu") -> NDArray[np.float32]:
    """(n, clusters) for uint8 images (n, 3, side, side)."""
    network.to(device).eval()
    chunks = [
        network(normalised(images[start : start + 64].to(device).float() / WHITE)).cpu()
        for start in range(0, len(images), 64)
    ]
    return np.asarray(torch.cat(chunks).numpy(), dtype=np.float32)


def load_network(run: RunFolder) -> ClusterNetwork:
    """The network of a finished run. Raises TrainingError when there is none."""
    try:
        given = json.loads((run.path / CONFIGURATION_NAME).read_text(encoding="utf-8"))
        settings = ClusterSettings.model_validate(given).model_copy(update={"weights": ""})
        state = torch.load(run.model, map_location="cpu", weights_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{run.path} holds no finished run of the method clusters.") from error
    network = ClusterNetwork(settings)
    network.load_state_dict(state)
    return network.eval()


def load_tower(run: Path) -> MobileNetV2:
    """The image tower of a finished run, in evaluation mode. Raises TrainingError when there is none."""
    return load_network(RunFolder(run)).tower
