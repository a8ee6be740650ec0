"""Slices in several sequences: what is read, what is drawn, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.methods.brains import brains
from training.errors import TrainingError
from training.methods.sequence_batches import batch_of, draw
from training.methods.sequence_slices import SequenceSlices


def test_a_missing_sequence_is_normal_and_the_mask_is_the_slices_own(tmp_path: Path) -> None:
    benchmark = brains(tmp_path, missing=[(0, "T1"), (1, "T1CE"), (1, "FLAIR")])
    alone = tuple(replace(i, mask=i.mask if i.view_or_sequence == "FLAIR" else "") for i in benchmark.images)
    slices = SequenceSlices.read(replace(benchmark, images=alone), 32)
    assert slices.sequences == ("FLAIR", "T1", "T1CE")
    assert np.bincount(slices.slice).tolist() == [2, 2, 1, 1, *[3] * 12]
    drawn_on_flair = slices.masks[slices.sequence == 0]
    of_same_slices = slices.masks[(slices.sequence == 1) & (slices.patient > 1)]
    assert np.array_equal(drawn_on_flair[-12:], of_same_slices)
    assert slices.area[(slices.patient == 1)].tolist() == [0.0, 0.0]


def test_best_slices_hold_the_largest_lesion(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path), 64)
    best = slices.best_slices()
    assert {slices.names[index].split("-")[1] for index in best} == {"2"}
    assert len(best) == 24


def test_one_sequence_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="only the sequence T1"):
        SequenceSlices.read(brains(tmp_path, sequences=["T1"]), 32)


def test_images_that_name_no_sequence_are_refused(tmp_path: Path) -> None:
    benchmark = brains(tmp_path)
    nameless = tuple(replace(image, view_or_sequence="") for image in benchmark.images)
    with pytest.raises(TrainingError, match="name no sequence"):
        SequenceSlices.read(replace(benchmark, images=nameless), 32)


def test_sequences_that_no_patient_shares_are_refused(tmp_path: Path) -> None:
    missing = [(patient, "T1" if patient % 2 else "FLAIR") for patient in range(8)]
    slices = SequenceSlices.read(brains(tmp_path, sequences=["FLAIR", "T1"], missing=missing), 32)
    with pytest.raises(TrainingError, match="nothing is a positive"):
        slices.refuse_lone_sequences()


def test_a_batch_holds_whole_slices_of_different_patients(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path, missing=[(3, "T1")]), 32)
    indices, labels = draw(slices, "any", 8, 2, np.random.default_rng(0))
    for label in range(8):
        own = indices[labels == label]
        assert len(set(slices.slice[own])) == 1
        assert len(own) == (2 if slices.patient[own[0]] == 3 else 3)
    assert sorted(slices.patient[indices[np.flatnonzero(np.diff(labels, prepend=-1))]]) == list(range(8))


def test_a_volume_gives_as_many_slices_of_each_series_even_where_there_are_fewer(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path, missing=[(3, "T1")]), 32)
    indices, labels = draw(slices, "volume", 8, 3, np.random.default_rng(0))
    series = np.stack([slices.patient[indices], slices.sequence[indices]]).reshape(2, -1, 3)
    assert (series == series[:, :, :1]).all()
    assert sorted(np.bincount(labels).tolist()) == [6, *[9] * 7]


def test_a_slices_sequences_and_masks_move_together(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path), 64)
    indices, labels = draw(slices, "any", 6, 2, np.random.default_rng(1))
    plain = batch_of(slices, indices, labels, None)
    moved = batch_of(slices, indices, labels, torch.Generator().manual_seed(3))
    assert not torch.equal(plain.masks, moved.masks)
    for label in range(6):
        own = moved.masks[moved.label == label]
        assert torch.equal(own, own[:1].expand_as(own))
    inside, outside = moved.pictures[moved.masks > 0.9], moved.pictures[moved.masks < 0.1]
    assert float(inside.mean()) > float(outside.mean()) + 0.3
