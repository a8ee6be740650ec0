"""Batches of slices in several sequences: drawn by step, and moved and dimmed alike within a slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.methods.sequence_slices import SequenceSlices

View = Literal["best", "any", "volume"]
_WHITE = 255.0


@dataclass(frozen=True, slots=True)
class SequenceBatch:
    """Images of g groups; a group is what shall lie together.

    Attributes:
        pictures: (n, 1, side, side) in [0, 1].
        masks: (n, 1, side, side) in [0, 1].
        label: (n,) the group's number.
        sequence: (n,) index into the sequences.
    """

    pictures: Tensor
    masks: Tensor
    label: Tensor
    sequence: Tensor


def draw(
    slices: SequenceSlices, view: View, groups: int, slices_per_volume: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose what a step sees.

    Args:
        slices: of the training part.
        view: "best", each patient's slice with the largest lesion; "any", any slice; "volume", several slices
            of each sequence of a patient.
        groups: slices (patients, of volumes) a batch.
        slices_per_volume: of the view "volume"; fewer slices repeat.
        rng: of the step.

    Returns:
        indices (n,), and their groups' numbers (n,). Of volumes, `slices_per_volume` indices in a row are of
        one series.
    """
    if view == "volume":
        return _volumes(slices, groups, slices_per_volume, rng)
    pool = slices.best_slices() if view == "best" else np.arange(len(slices))
    order = np.argsort(slices.slice[pool], kind="stable")
    members = np.split(pool[order], np.flatnonzero(np.diff(slices.slice[pool][order])) + 1)
    chosen = _patients_apart(slices, members, groups, rng)
    indices = np.concatenate([members[place] for place in chosen])
    return indices, np.repeat(np.arange(len(chosen)), [len(members[place]) for place in chosen])


def _patients_apart(
    slices: SequenceSlices, members: list[NDArray[np.intp]], groups: int, rng: np.random.Generator
) -> list[int]:
    """As many patients as there are before any comes twice: slices of one patient are poor negatives."""
    patient = np.array([slices.patient[own[0]] for own in members])
    chosen: list[int] = []
    taken: set[int] = set()
    while len(chosen) < min(groups, len(members)):
        for who in rng.permutation(np.unique(patient)):
            left = [int(place) for place in np.flatnonzero(patient == who) if int(place) not in taken]
            if left and len(chosen) < groups:
                chosen.append(int(rng.choice(left)))
                taken.add(chosen[-1])
    return chosen


def _volumes(
    slices: SequenceSlices, groups: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    indices, labels = [], []
    for label, who in enumerate(rng.permutation(np.unique(slices.patient))[:groups]):
        for sequence in range(len(slices.sequences)):
            own = np.flatnonzero((slices.patient == who) & (slices.sequence == sequence))
            if len(own):
                indices.append(np.sort(rng.choice(own, count, replace=len(own) < count)))
                labels += [label] * count
    return np.concatenate(indices), np.array(labels)


def batch_of(
    slices: SequenceSlices,
    indices: NDArray[np.intp],
    labels: NDArray[np.intp],
    generator: torch.Generator | None,
) -> SequenceBatch:
    """Take images as tensors, as they are or changed at random.

    Args:
        slices: to take from.
        indices: (n,).
        labels: (n,) group numbers from 0.
        generator: moves the images, one way a group, so that positives and masks still lie on each other, and
            dims them, each its own way; None leaves them as they are.
    """
    pictures = torch.from_numpy(slices.images[indices])[:, None].float() / _WHITE
    masks = torch.from_numpy(slices.masks[indices])[:, None].float() / _WHITE
    label = torch.from_numpy(labels.astype(np.int64))
    if generator is not None:
        both = _moved(torch.cat([pictures, masks], 1), label, generator)
        pictures, masks = _dimmed(both[:, :1], generator), both[:, 1:]
    return SequenceBatch(pictures, masks, label, torch.from_numpy(slices.sequence[indices].astype(np.int64)))


def _moved(planes: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored half of the time, turned up to 12 degrees, scaled by 0.9 to 1.1, shifted up to 5 percent."""
    u = torch.rand(int(label.max()) + 1, 5, generator=generator)[label]
    angle = (u[:, 0] * 2 - 1) * math.radians(12)
    scale = 0.9 + 0.2 * u[:, 1]
    mirror = torch.where(u[:, 2] < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(label), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * scale * mirror, -angle.sin() * scale
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * scale * mirror, angle.cos() * scale
    theta[:, :, 2] = (u[:, 3:] * 2 - 1) * 0.1
    grid = functional.affine_grid(theta, list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, align_corners=False)


def _dimmed(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Gamma 0.7 to 1.4, contrast 0.8 to 1.2, a little noise."""
    u = torch.rand(len(pictures), 3, 1, 1, 1, generator=generator)
    gamma = torch.exp2(u[:, 0] - 0.5)
    noise = torch.randn(pictures.shape, generator=generator) * 0.03 * u[:, 2]
    return (pictures.clamp(0, 1).pow(gamma) * (0.8 + 0.4 * u[:, 1]) + noise).clamp(0, 1)
