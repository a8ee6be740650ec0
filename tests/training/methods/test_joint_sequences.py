"""The joint space on generated pictures: any subset of sequences, what is learned, what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.vectors import ImageVectors
from tests.training.methods.brains import brains
from training.errors import TrainingError
from training.fit import FitSettings, RunFolder, fit
from training.methods.joint_runs import DRAWING_NAME, drawing_errors, embed_alone, run_joint_sequences
from training.methods.joint_sequences import JointConfiguration, JointMethod, joined, load_space, load_tower
from training.methods.sequence_slices import SequenceSlices
from training.methods.sequences import as_input

FIT = FitSettings(threads=1, bfloat16=False)
TINY = JointConfiguration(
    sequences=("FLAIR", "T1", "T1CE"),
    channels=2,
    width=4,
    groups=6,
    steps=24,
    annealed_steps=12,
    warm_up=1,
    learning_rate=5e-3,
    fit=FIT,
)


def test_any_subset_of_sequences_gives_a_finite_posterior(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path, 3, missing=[(0, "T1")]), 64)
    method = JointMethod(TINY, slices)
    pictures, present = joined(slices, np.unique(slices.slice))
    assert present.sum(1).tolist() == [2, 2, 3, 3, 3, 3]
    for subset in itertools.product([False, True], repeat=3):
        posterior = method.space.posterior(pictures, present & torch.tensor(subset))
        assert bool(posterior.mean.isfinite().all())
        assert bool(posterior.log_variance.isfinite().all())
        assert bool((posterior.log_variance <= 0).all()), "an expert only sharpens the prior"
        assert method.space.draw(posterior.mean).shape == (6, 3, 64, 64)


def test_sequences_that_are_missing_are_drawn_from_the_others(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path / "bench", missing=[(1, "T1CE")]), 64)
    method = JointMethod(TINY, slices)
    before = drawing_errors(method.space.eval(), slices)
    run = RunFolder(tmp_path / "run")
    run.open(TINY)
    fit(method, run, FIT)
    after = drawing_errors(load_space(run.path)[1], slices)
    for key in ("T1 from others", "FLAIR from T1", "T1CE from all"):
        assert after[key] < 0.7 * before[key], key


def test_the_tower_of_a_sequence_gives_what_the_space_gives(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path / "bench"), 64)
    run = RunFolder(tmp_path / "run")
    short = TINY.model_copy(update={"steps": 1})
    run.open(short)
    method = JointMethod(short, slices)
    fit(method, run, FIT)
    expected = embed_alone(method.space.eval(), slices)
    tower = load_tower(run.path, "T1")
    own = np.flatnonzero(slices.sequence == 1)
    pictures = torch.from_numpy(slices.images[own])[:, None].float() / 255
    with torch.inference_mode():
        assert np.allclose(tower(as_input(pictures)).numpy(), expected[own], atol=1e-4)
        assert tower.feature_map(as_input(pictures)).shape == (len(own), 2, 8, 8)  # type: ignore[operator]
    with pytest.raises(TrainingError, match="one of FLAIR, T1, T1CE"):
        load_tower(run.path)


def test_the_folds_are_compared_with_what_learned_nothing(tmp_path: Path) -> None:
    benchmark = brains(tmp_path / "bench", missing=[(4, "FLAIR")])
    wanted = TINY.model_dump(exclude={"sequences"}) | {"steps": 2, "folds": 2}
    names = tuple(image.image for image in benchmark.images)
    noise = np.random.default_rng(0).normal(size=(len(names), 3)).astype(np.float32)
    ImageVectors(names, noise).write(tmp_path / "noise.npz")
    baselines = {"noise": tmp_path / "noise.npz"}
    tables = run_joint_sequences(tmp_path / "bench", "made", tmp_path / "out", wanted, baselines)
    assert {"pooled | learned", "pooled | noise", "within folds | pixel"} <= set(tables)
    drawn = json.loads((tmp_path / "out" / DRAWING_NAME).read_text())
    assert drawn["T1 from FLAIR"] > 0


def test_a_baseline_that_lacks_an_image_is_refused(tmp_path: Path) -> None:
    brains(tmp_path / "bench", 4)
    ImageVectors(("0-1-T1.png",), np.ones((1, 2), np.float32)).write(tmp_path / "few.npz")
    wanted = TINY.model_dump(exclude={"sequences"}) | {"steps": 1, "folds": 2}
    with pytest.raises(TrainingError, match="lacks 23 images"):
        run_joint_sequences(tmp_path / "bench", "made", tmp_path / "o", wanted, {"few": tmp_path / "few.npz"})


def test_other_sequences_than_the_configurations_are_refused(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path, 4, sequences=["FLAIR", "T1"]), 64)
    with pytest.raises(TrainingError, match="sequences are"):
        JointMethod(TINY, slices)
