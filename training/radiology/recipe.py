"""The default encoder from two files of ImageNet weights and a benchmark's permissive images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError
from evaluation.folds import Fold, grouped_folds, near_duplicate_groups
from evaluation.ranking import unit_vectors
from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, fit, save, seed_everything
from training.images import letterboxed
from training.learned_from import LearnedFrom
from training.radiology.findings import FindingsMethod, FindingsSettings
from training.radiology.general import (
    GeneralMethod,
    GeneralSettings,
    pooled_features,
    start_by_least_squares,
    whitened,
)
from training.radiology.held_out import VECTORS_NAME, left_out, vectors_of
from training.radiology.kinds import prototypes_of, threshold_of
from training.radiology.labels import FINDING_DATASETS, shares_of, tasks_of
from training.radiology.views import SIDE, Progress, trunk_views
from training.towers.mobilenet import MobileNetV2, load_weights
from training.towers.radiology import GENERAL_DIMENSION, KindGate, RadiologyTower, Trunk
from training.towers.resnet import ResNet50V2Trunk

_GATE_BATCH: Final = 64
_PEAKS: Final = 3.0
"""Power of the generalised mean over the larger teacher's maps."""


class RadiologyConfiguration(BaseModel):
    """Everything that decides what comes out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["radiology-small"] = "radiology-small"
    benchmark: Path
    weights: Path = Field(description="MobileNetV2's ImageNet weights, .safetensors.")
    teacher_weights: Path = Field(description="ImageNet weights of the trunk of ResNet-50 v2, .safetensors.")
    fold: int | None = Field(default=None, ge=0, description="Held out; None learns from every image.")
    folds: int = Field(default=5, ge=2)
    views: int = Field(default=10, ge=0, description="Augmented views of each image.")
    teacher_share: float = Field(
        default=0.7, gt=0, description="Of MobileNetV2 beside ResNet-50 as teachers."
    )
    findings_weight: float = Field(default=1.5, gt=0, description="Of findings beside everything else.")
    findings: FindingsSettings = FindingsSettings()
    general: GeneralSettings = GeneralSettings()
    fit: FitSettings = FitSettings()


def train_radiology(configuration: RadiologyConfiguration, run: RunFolder, progress: Progress) -> Path:
    """Run the recipe, going on where it was cut off.

    Views and teachers are embedded on the CPU, in a few minutes; the branches learn on the device of
    `fit.device`.

    With a fold held out, vectors.npz beside the model holds the vectors of all that was not learned from.

    Returns:
        The file with the tower's state dict.

    Raises:
        TrainingError: the weights, or the folder, cannot be used, or it was begun with other images.
        BenchmarkError: the benchmark has no image that an encoder may be shipped with.
    """
    run.open(configuration)
    benchmark = training_part(configuration)
    names = tuple(image.image for image in benchmark.images)
    folds = None if configuration.fold is None else configuration.folds
    run.open(configuration, LearnedFrom(images=names, fold=configuration.fold, folds=folds))
    if run.model.exists():
        return run.model
    seed_everything(configuration.fit)
    tower = RadiologyTower.pretrained(configuration.weights, configuration.findings_weight).eval()
    images = letterboxed(benchmark, SIDE)
    views = _views(tower.trunk, images, configuration, run, progress)
    _learn_general(tower, images, views, benchmark, configuration, run)
    _set_gate(tower, views, benchmark, configuration.fit.seed)
    _learn_findings(tower, views, benchmark, configuration, run)
    if configuration.fold is not None:
        whole = Benchmark.open(configuration.benchmark)
        vectors_of(tower.eval(), left_out(whole, benchmark)).write(run.path / VECTORS_NAME)
    save(run.model, tower.state_dict())
    _views_file(run).unlink(missing_ok=True)
    return run.model


def load_tower(run: Path) -> RadiologyTower:
    """The tower of a run that has ended, in evaluation mode. Raises TrainingError."""
    try:
        written = json.loads((run / CONFIGURATION_NAME).read_text(encoding="utf-8"))
        configuration = RadiologyConfiguration.model_validate(written)
        state = torch.load(RunFolder(run).model, map_location="cpu", weights_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{run} does not hold a run that has ended: {error}") from error
    tower = RadiologyTower(configuration.findings_weight, len(state["gate.prototypes"]))
    tower.load_state_dict(state)
    return tower.eval()


def training_part(configuration: RadiologyConfiguration) -> Benchmark:
    """The images that are learned from: permissive, and not of the fold that is held out."""
    permissive = permissive_part(configuration.benchmark)
    if configuration.fold is None:
        return permissive
    folds = folds_of(permissive, configuration.folds, configuration.fit.seed)
    if configuration.fold >= len(folds):
        raise TrainingError(f"There is no fold {configuration.fold}: they count from 0 to {len(folds) - 1}.")
    return permissive.at(folds[configuration.fold].training.tolist())


def permissive_part(folder: Path) -> Benchmark:
    """The images that an encoder which is shipped may learn from. Raises BenchmarkError."""
    permissive = Benchmark.open(folder).where(lambda image: image.is_permissive)
    if not any(image.dataset in FINDING_DATASETS for image in permissive.images):
        raise BenchmarkError(
            f"{folder} has none of {', '.join(FINDING_DATASETS)}: there is no finding to learn."
        )
    return permissive


def folds_of(permissive: Benchmark, folds: int, seed: int) -> tuple[Fold, ...]:
    """Folds by near-duplicates and subjects, every data set's findings spread evenly."""
    strata = [f"{image.dataset}{image.finding}{image.body_part}" for image in permissive.images]
    return grouped_folds(near_duplicate_groups(permissive), strata, folds, seed)


def _views_file(run: RunFolder) -> Path:
    return run.path / "views.pt"


def _views(
    trunk: Trunk,
    images: NDArray[np.uint8],
    configuration: RadiologyConfiguration,
    run: RunFolder,
    progress: Progress,
) -> Tensor:
    file = _views_file(run)
    if not file.exists():
        made = trunk_views(trunk, images, configuration.views, configuration.fit.seed, progress)
        save(file, made)
    loaded: Tensor = torch.load(file, weights_only=True)
    return loaded


def _learn_general(
    tower: RadiologyTower,
    images: NDArray[np.uint8],
    views: Tensor,
    benchmark: Benchmark,
    configuration: RadiologyConfiguration,
    run: RunFolder,
) -> None:
    stage = RunFolder(run.path / "general")
    stage.open(configuration.general)
    shares = _flat_shares([image.dataset for image in benchmark.images])
    method = GeneralMethod(
        tower.general,
        views,
        np.zeros((len(images), GENERAL_DIMENSION), np.float32),
        shares,
        configuration.general,
        configuration.fit.seed,
    )
    if not stage.model.exists():
        small, teacher = _teacher(images, shares, configuration)
        start_by_least_squares(tower.general, small, teacher, configuration.general.ridge)
        method = GeneralMethod(
            tower.general, views, teacher, shares, configuration.general, configuration.fit.seed
        )
    fit(method, stage, configuration.fit, title="general branch")
    tower.general.cpu()


@torch.no_grad()
def _set_gate(tower: RadiologyTower, views: Tensor, benchmark: Benchmark, seed: int) -> None:
    """Put the gate's prototypes among the images whose findings are learned, as they are."""
    places = [place for place, image in enumerate(benchmark.images) if image.dataset in FINDING_DATASETS]
    known = benchmark.at(places)
    branch = tower.general.eval()
    parts = [branch(views[0, some].float()).mean((2, 3)) for some in torch.tensor(places).split(_GATE_BATCH)]
    vectors = unit_vectors(torch.cat(parts).numpy())
    kinds = [image.dataset for image in known.images]
    prototypes = prototypes_of(vectors, kinds, seed)
    tower.gate = KindGate(len(prototypes))
    tower.gate.prototypes.copy_(torch.from_numpy(prototypes))
    tower.gate.threshold.fill_(threshold_of(vectors, kinds, near_duplicate_groups(known), seed))


def _learn_findings(
    tower: RadiologyTower,
    views: Tensor,
    benchmark: Benchmark,
    configuration: RadiologyConfiguration,
    run: RunFolder,
) -> None:
    stage = RunFolder(run.path / "findings")
    stage.open(configuration.findings)
    method = FindingsMethod(
        tower.findings,
        views,
        tasks_of(benchmark),
        [image.dataset for image in benchmark.images],
        shares_of(benchmark),
        configuration.findings,
        configuration.fit.seed,
    )
    fit(method, stage, configuration.fit, title="findings branch")
    tower.findings.cpu()


def _teacher(
    images: NDArray[np.uint8], shares: NDArray[np.float64], configuration: RadiologyConfiguration
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """MobileNetV2's own features (n, 1280), and what both ImageNet towers say together, (n, 256)."""
    small_tower, large_tower = MobileNetV2().eval(), ResNet50V2Trunk().eval()
    load_weights(small_tower, configuration.weights)
    load_weights(large_tower, configuration.teacher_weights)
    small = pooled_features(small_tower, images, 1.0)
    large = whitened(pooled_features(large_tower, images, _PEAKS), shares, GENERAL_DIMENSION, 0.5)
    both = np.concatenate(
        [large, configuration.teacher_share * whitened(small, shares, GENERAL_DIMENSION, 0.25)], axis=1
    )
    return small, whitened(unit_vectors(both), shares, GENERAL_DIMENSION, 0.0)


def _flat_shares(datasets: Sequence[str]) -> NDArray[np.float64]:
    """Every data set by the square root of its size, every image of it alike."""
    _, place, sizes = np.unique(np.array(datasets), return_inverse=True, return_counts=True)
    shares = sizes[place] ** -0.5
    return np.asarray(shares / shares.sum())
