"""Whole experiments of the joint space: learn the folds, compare, and draw sequences that are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from evaluation.benchmark import Benchmark
from indexer.domain import Vector
from training.fit import RunFolder, fit, seed_everything
from training.methods.joint_sequences import JointConfiguration, JointMethod, joined, load_space
from training.methods.sequence_folds import compare, cross_validate, patient_folds
from training.methods.sequence_runs import Tables, baseline_vectors
from training.methods.sequence_slices import SequenceSlices
from training.towers.joint import SIDE, JointSpace

DRAWING_NAME: Final = "missing_sequences.json"


def run_joint_sequences(
    folder: Path, dataset: str, out: Path, wanted: Mapping[str, Any], baselines: Mapping[str, Path]
) -> Tables:
    """Cross-validate the joint space; each image is embedded alone, by its own sequence's encoder.

    Args:
        folder: of the benchmark.
        dataset: of it.
        out: for runs, vectors and figures.
        wanted: values of JointConfiguration; its `sequences` are those of the data set.
        baselines: files of vectors, by name: those of other methods, say.

    Raises:
        TrainingError: the images are not of several sequences, or a baseline lacks one of them.
        BenchmarkError: the benchmark cannot be used.
        pydantic.ValidationError: the configuration cannot be used.
    """
    benchmark = Benchmark.open(folder).dataset(dataset)
    slices = SequenceSlices.read(benchmark, SIDE)
    configuration = JointConfiguration.model_validate({**wanted, "sequences": slices.sequences})

    def learn(
        own: JointConfiguration, training: SequenceSlices, held_out: SequenceSlices, run: RunFolder
    ) -> Vector:
        seed_everything(own.fit)
        method = JointMethod(own, training)
        fit(method, run, own.fit, title=f"fold {own.fold}")
        return embed_alone(method.space.cpu().eval(), held_out)

    folds = patient_folds(benchmark, configuration.folds)
    learned = cross_validate(benchmark, slices, folds, out, configuration, learn)
    errors = [
        drawing_errors(load_space(out / f"fold-{number}")[1], slices.at(fold.held_out))
        for number, fold in enumerate(folds)
    ]
    mean = {key: float(np.nanmean([fold[key] for fold in errors])) for key in errors[0]}
    (out / DRAWING_NAME).write_text(json.dumps(mean, indent=1) + "\n", encoding="utf-8")
    return compare(benchmark, learned, baseline_vectors(benchmark, baselines, None, out), out)


@torch.inference_mode()
def embed_alone(space: JointSpace, slices: SequenceSlices) -> Vector:
    """Vectors (n, d) of all images, each from its own sequence with all others missing."""
    vectors = np.zeros((len(slices), space.dimension), dtype=np.float32)
    numbers = np.unique(slices.slice)
    for sequence in range(len(slices.sequences)):
        pictures, present = joined(slices, numbers)
        only = torch.zeros_like(present)
        only[:, sequence] = present[:, sequence]
        means = space.posterior(pictures, only).mean.numpy()
        own = np.flatnonzero(slices.sequence == sequence)
        vectors[own] = means[np.searchsorted(numbers, slices.slice[own])]
    return vectors


@torch.inference_mode()
def drawing_errors(space: JointSpace, slices: SequenceSlices) -> dict[str, float]:
    """Root mean squared error of each sequence's picture, grey values in [0, 1].

    Keys are "T1 from all", "T1 from others" (itself missing), "T1 from FLAIR" (that one alone), and "T1 from
    nothing" (what the prior's mean draws), over the slices that have both; nan where none has.
    """
    pictures, present = joined(slices, np.unique(slices.slice))
    errors: dict[str, float] = {}
    for target, name in enumerate(slices.sequences):
        without = present.clone()
        without[:, target] = False
        shown = {"all": present, "others": without, "nothing": torch.zeros_like(present)}
        for other, from_name in enumerate(slices.sequences):
            shown[from_name] = torch.zeros_like(present)
            shown[from_name][:, other] = present[:, other]
        for source, there in shown.items():
            rows = present[:, target] & (there.any(1) | (source == "nothing"))
            key = f"{name} from {source}"
            errors[key] = _root_mean_square(space, pictures[rows], there[rows], target)
    return errors


def _root_mean_square(space: JointSpace, pictures: torch.Tensor, present: torch.Tensor, target: int) -> float:
    if not len(pictures):
        return float("nan")
    drawn = space.draw(space.posterior(pictures, present).mean)
    return float((drawn[:, target] - pictures[:, target]).square().mean().sqrt())
