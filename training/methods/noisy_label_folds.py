"""What fine-tuning with wrong labels is worth on rows that were left out, whose labels nobody touched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor

from evaluation.folds import Fold, grouped_folds, near_duplicate_groups, refuse_shared_subjects
from evaluation.ranking import CHANCE, Labelled, retrieval_by_label, unit_vectors
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from training.errors import TrainingError
from training.fit import RunFolder, fit, seed_everything
from training.learned_from import LearnedFrom, refuse_seen, seen_by
from training.methods.label_noise import corrupted
from training.methods.labelled_pictures import LabelledPictures
from training.methods.noisy_labels import (
    NoisyLabelModel,
    NoisyLabelsConfiguration,
    NoisyLabelsMethod,
    frozen_features,
    pooled,
)

FIGURES_NAME = "figures.json"
VECTORS_NAME = "held_out.npz"


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """What one fold's held-out rows say, each in [0, 1].

    Attributes:
        images: how many were held out.
        accuracy: share whose class is found.
        macro_f1: mean over the classes.
        precision_at_10: of retrieval among the held-out rows by the embedding; the own subject, and
            those that hold a near-duplicate of it, left out.
        precision_at_10_before: the same by the tower that learning started from.
        chance: of P@10.
    """

    images: int
    accuracy: float
    macro_f1: float
    precision_at_10: float
    precision_at_10_before: float
    chance: float


class NoisyLabelFolds:
    """One data set, cut into folds, with the features of the tower that learning starts from."""

    def __init__(self, pictures: LabelledPictures, configuration: NoisyLabelsConfiguration) -> None:
        """Cut the rows; no subject and no near-duplicate is on both sides.

        Args:
            pictures: rows of one data set.
            configuration: `folds`, `start` and `side` are those of every run.

        Raises:
            BenchmarkError: there are fewer subjects than folds.
            TrainingError: the start cannot be read.
        """
        self._pictures = pictures
        self._start = configuration
        self._before = frozen_features(configuration, pictures.images)
        names = [pictures.classes[number] for number in pictures.target]
        self._groups = near_duplicate_groups(pictures.benchmark)
        self._folds = grouped_folds(self._groups, names, configuration.folds, configuration.fit.seed)

    def __len__(self) -> int:
        """How many folds."""
        return len(self._folds)

    def run(self, configuration: NoisyLabelsConfiguration, folder: Path) -> FoldFigures:
        """Learn one fold, or go on with it, and measure it; writes held_out.npz and figures.json.

        Raises:
            TrainingError: the configuration is of other rows, a held-out class was never learned, or the
                start has seen what is held out.
        """
        same = {"dataset", "label", "start", "side", "folds"}
        if configuration.model_dump(include=same) != self._start.model_dump(include=same):
            raise TrainingError(f"A run differs from its folds in one of {', '.join(sorted(same))}.")
        fold, run = self._folds[configuration.fold], RunFolder(folder)
        self._refuse_unseen(fold)
        model = learn(configuration, self._pictures, fold.training, self._before, run)
        held_out = self._pictures.at(fold.held_out)
        before = self._before[torch.from_numpy(fold.held_out)]
        embedding = _embedded(model, configuration, held_out.images, before)
        vectors = ImageVectors(tuple(i.image for i in held_out.benchmark.images), embedding.numpy())
        vectors.write(folder / VECTORS_NAME)
        predicted, groups = _predicted(model, embedding), self._groups[fold.held_out]
        figures = _measured(held_out, groups, predicted, vectors.vector, before.numpy())
        (folder / FIGURES_NAME).write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
        return figures

    def _refuse_unseen(self, fold: Fold) -> None:
        refuse_shared_subjects(
            self._pictures.benchmark.at(fold.training.tolist()),
            self._pictures.benchmark.at(fold.held_out.tolist()),
        )
        images = [image.image for image in self._pictures.benchmark.images]
        refuse_seen(self._start.start, images, self._groups, fold.held_out)
        target = self._pictures.target
        unseen = sorted(set(target[fold.held_out].tolist()) - set(target[fold.training].tolist()))
        if unseen:
            raise TrainingError(
                f"The class {self._pictures.classes[unseen[0]]} is only among the held-out rows: "
                "take fewer folds, or leave it out."
            )


def learn(
    configuration: NoisyLabelsConfiguration,
    pictures: LabelledPictures,
    rows: NDArray[np.intp],
    features: Tensor,
    run: RunFolder,
) -> NoisyLabelModel:
    """Learn from these rows, their labels corrupted as the configuration asks.

    Args:
        configuration: written beside the result.
        pictures: all rows.
        rows: places of those to learn from.
        features: float32 (all rows, 1280), of the tower at the start.
        run: gone on with where it was cut off.

    Raises:
        TrainingError: the run's folder holds another configuration or other rows, or the loss is no longer
            finite.
    """
    names = tuple(pictures.benchmark.images[row].image for row in rows)
    fold, folds = (configuration.fold, configuration.folds) if configuration.folds else (None, None)
    earlier = seen_by(configuration.start)
    run.open(configuration, LearnedFrom(images=names, fold=fold, folds=folds, earlier=earlier))
    seed_everything(configuration.fit)
    classes = len(pictures.classes)
    target = corrupted(
        pictures.target[rows], classes, configuration.noise, configuration.noise_kind, configuration.fit.seed
    )
    given = features if configuration.tuned == "head" else pictures.images
    method = NoisyLabelsMethod(configuration, given[torch.from_numpy(rows)], target, classes)
    fit(method, run, configuration.fit)
    return method.network.eval()


def mean_figures(folds: Sequence[FoldFigures]) -> FoldFigures:
    """The mean over the held-out images of all folds; macro-F1 the plain mean of the folds."""
    share = np.array([fold.images for fold in folds]) / sum(fold.images for fold in folds)
    return FoldFigures(
        images=sum(fold.images for fold in folds),
        accuracy=float(share @ [fold.accuracy for fold in folds]),
        macro_f1=float(np.mean([fold.macro_f1 for fold in folds])),
        precision_at_10=float(share @ [fold.precision_at_10 for fold in folds]),
        precision_at_10_before=float(share @ [fold.precision_at_10_before for fold in folds]),
        chance=float(share @ [fold.chance for fold in folds]),
    )


@torch.inference_mode()
def _embedded(
    model: NoisyLabelModel, configuration: NoisyLabelsConfiguration, images: Tensor, before: Tensor
) -> Tensor:
    if configuration.tuned == "tower":
        return pooled(model.tower, images, configuration.fit)
    return model.tower.project(before.to(configuration.fit.device)).cpu()


@torch.inference_mode()
def _predicted(model: NoisyLabelModel, embedding: Tensor) -> NDArray[np.int64]:
    device = model.classes.weight.device
    return np.asarray(model(embedding.to(device)).argmax(1).cpu().numpy(), dtype=np.int64)


def _measured(
    held_out: LabelledPictures,
    groups: NDArray[np.intp],
    predicted: NDArray[np.int64],
    vectors: Vector,
    before: Vector,
) -> FoldFigures:
    numbers = list(range(len(held_out.classes)))
    retrieved, chance = _precision(held_out, groups, vectors)
    return FoldFigures(
        images=len(held_out),
        accuracy=float(accuracy_score(held_out.target, predicted)),
        macro_f1=float(
            f1_score(held_out.target, predicted, labels=numbers, average="macro", zero_division=0.0)
        ),
        precision_at_10=retrieved,
        precision_at_10_before=_precision(held_out, groups, before)[0],
        chance=chance,
    )


def _precision(pictures: LabelledPictures, groups: NDArray[np.intp], vectors: Vector) -> tuple[float, float]:
    """P@10 and its chance; nobody finds the group that he is of: his subject with its near-duplicates."""
    names = np.array(pictures.classes)[pictures.target]
    labelled = Labelled(unit_vectors(vectors), names, groups.astype(np.str_))
    values = retrieval_by_label(labelled, labelled, cutoffs=(10,))
    return float(values["P@10"].mean()), float(values[CHANCE].mean())
