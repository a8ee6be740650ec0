"""Cross-validation over patients: a run a fold, the vectors of those held out, and their figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from evaluation.benchmark import Benchmark
from evaluation.folds import Fold, grouped_folds, refuse_shared_subjects, subject_groups
from evaluation.sequence_scores import BAR, SequenceScorer, ratio_to_best
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from training.errors import TrainingError
from training.fit import RunFolder
from training.learned_from import LearnedFrom
from training.methods.sequence_slices import SequenceSlices

HELD_OUT_NAME: Final = "held_out.npz"
POOLED_NAME: Final = "vectors.npz"
FIGURES_NAME: Final = "figures.json"

Configuration = TypeVar("Configuration", bound=BaseModel)

Learn = Callable[[Configuration, SequenceSlices, SequenceSlices, RunFolder], Vector]
"""The fold's configuration, training part, held-out part, the opened run; held-out images' vectors (n, d)."""


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """What the folds gave: float32 (n, d), and the fold (n,) that each image was held out in."""

    vectors: Vector
    fold: NDArray[np.intp]


def patient_folds(benchmark: Benchmark, folds: int, seed: int = 0) -> tuple[Fold, ...]:
    """Folds of whole patients, the sequences spread evenly. The seed is not that of the training."""
    strata = [image.view_or_sequence for image in benchmark.images]
    return grouped_folds(subject_groups(benchmark), strata, folds, seed)


def learn_fold(
    benchmark: Benchmark,
    slices: SequenceSlices,
    fold: Fold,
    folder: Path,
    configuration: Configuration,
    learn: Learn[Configuration],
) -> Vector:
    """Learn the fold that the configuration names, and write the vectors of those held out beside its run.

    A fold whose vectors are there already is not learned again.

    Raises:
        TrainingError: what lies in the fold's folder is of another configuration, or of other images.
    """
    refuse_shared_subjects(benchmark.at(fold.training.tolist()), benchmark.at(fold.held_out.tolist()))
    values = configuration.model_dump(include={"fold", "folds"})
    run = RunFolder(folder / f"fold-{values['fold']}")
    training, held_out, file = slices.at(fold.training), slices.at(fold.held_out), run.path / HELD_OUT_NAME
    run.open(configuration, LearnedFrom(images=training.names, **values))
    if not file.exists():
        ImageVectors(held_out.names, learn(configuration, training, held_out, run)).write(file)
    read = ImageVectors.read(file)
    if read.image != held_out.names:
        raise TrainingError(f"{file} is of other images: take another folder, or delete it.")
    return read.vector


def cross_validate(
    benchmark: Benchmark,
    slices: SequenceSlices,
    folds: tuple[Fold, ...],
    folder: Path,
    configuration: Configuration,
    learn: Learn[Configuration],
) -> CrossValidated:
    """Learn each fold, and write all the vectors together. Raises as `learn_fold` does."""
    fold_of = np.zeros(len(benchmark), dtype=np.intp)
    parts: list[Vector] = []
    for number, fold in enumerate(folds):
        fold_of[fold.held_out] = number
        own = configuration.model_copy(update={"fold": number})
        parts.append(learn_fold(benchmark, slices, fold, folder, own, learn))
    vectors = np.zeros((len(benchmark), parts[0].shape[1]), dtype=np.float32)
    for fold, part in zip(folds, parts, strict=True):
        vectors[fold.held_out] = part
    ImageVectors(slices.names, vectors).write(folder / POOLED_NAME)
    return CrossValidated(vectors, fold_of)


def compare(
    benchmark: Benchmark, learned: CrossValidated, baselines: Mapping[str, Vector], folder: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures within folds, and pooled over all patients; written to figures.json.

    Args:
        benchmark: that the vectors are of.
        learned: of the folds.
        baselines: vectors (n, d) of encoders that learned nothing here, by name; at least one.
        folder: where to write.

    Returns:
        By "within folds | encoder", "pooled | encoder": a measure's mean with its 95 % interval over
        patients; by "... | ratio to BASELINE" how many times the best baseline the learned one is.
    """
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for place, parts in (("within folds", learned.fold), ("pooled", np.zeros_like(learned.fold))):
        scorer = SequenceScorer(benchmark, parts)
        scores = {name: scorer.score(vectors) for name, vectors in baselines.items()}
        own = scorer.score(learned.vectors)
        for name, figures in {"learned": own, **scores}.items():
            tables[f"{place} | {name}"] = {key: asdict(one.interval) for key, one in figures.items()}
        best, ratio = ratio_to_best(own[BAR], {name: figures[BAR] for name, figures in scores.items()})
        tables[f"{place} | ratio to {best}"] = {BAR: asdict(ratio)}
    (folder / FIGURES_NAME).write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    return tables
