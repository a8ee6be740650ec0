"""Slices of patients examined in several sequences, held in memory, with their lesion masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.folds import numbered
from inference.preprocess import Pixels
from training.errors import TrainingError

_WHITE = 255.0


@dataclass(frozen=True, slots=True)
class SequenceSlices:
    """n images, each one sequence of one slice of one patient; a slice may lack any sequence.

    Attributes:
        names: (n,) paths as in labels.csv.
        images: uint8 (n, side, side), grey.
        masks: uint8 (n, side, side), 0 or 255: the lesion on the slice, whichever sequence it was drawn on.
        sequences: the sequences' names, sorted.
        sequence: (n,) index into `sequences`.
        patient: (n,) a number a patient.
        slice: (n,) a number a patient's slice.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    sequences: tuple[str, ...]
    sequence: NDArray[np.intp]
    patient: NDArray[np.intp]
    slice: NDArray[np.intp]

    @classmethod
    def read(cls, benchmark: Benchmark, side: int) -> SequenceSlices:
        """Read and resize all images and masks.

        Args:
            benchmark: images with `view_or_sequence` and `slice`.
            side: pixels.

        Raises:
            TrainingError: an image has no sequence, or there is only one sequence.
        """
        unnamed = [image.image for image in benchmark.images if not image.view_or_sequence]
        if unnamed:
            raise TrainingError(f"{len(unnamed)} images name no sequence, first {unnamed[0]}.")
        sequences, sequence = np.unique([i.view_or_sequence for i in benchmark.images], return_inverse=True)
        if len(sequences) < 2:
            raise TrainingError(f"There is only the sequence {sequences[0]}: a second one is needed.")
        patients = [f"{image.dataset}/{image.subject}" for image in benchmark.images]
        slices = [f"{who}/{image.slice}" for who, image in zip(patients, benchmark.images, strict=True)]
        slice_of = numbered(slices)
        masks = np.stack([_small(benchmark.mask(index), side) for index in range(len(benchmark))])
        return cls(
            names=tuple(image.image for image in benchmark.images),
            images=np.stack([_small(benchmark.pixels(index), side) for index in range(len(benchmark))]),
            masks=_shared(masks, slice_of),
            sequences=tuple(map(str, sequences)),
            sequence=sequence.astype(np.intp),
            patient=numbered(patients),
            slice=slice_of,
        )

    def __len__(self) -> int:
        """How many images."""
        return len(self.names)

    @property
    def area(self) -> NDArray[np.float32]:
        """(n,) share of the slice that is lesion, in [0, 1]."""
        return np.asarray((self.masks > 0).mean((1, 2)), dtype=np.float32)

    def at(self, indices: NDArray[np.intp]) -> SequenceSlices:
        """The images at these places."""
        return replace(
            self,
            names=tuple(self.names[index] for index in indices),
            images=self.images[indices],
            masks=self.masks[indices],
            sequence=self.sequence[indices],
            patient=self.patient[indices],
            slice=self.slice[indices],
        )

    def best_slices(self) -> NDArray[np.intp]:
        """Indices of the images on each patient's slice with the largest lesion (the middle one without)."""
        chosen = []
        for who in np.unique(self.patient):
            own = np.flatnonzero(self.patient == who)
            areas = self.area[own]
            middle = self.slice[own][len(own) // 2]
            best = self.slice[own][int(areas.argmax())] if areas.any() else middle
            chosen.append(own[self.slice[own] == best])
        return np.concatenate(chosen)

    def refuse_lone_sequences(self) -> None:
        """Raise TrainingError unless at least two patients have a slice in two sequences."""
        seen = np.unique(np.stack([self.slice, self.sequence]), axis=1)[0]
        shared = np.flatnonzero(np.bincount(seen) > 1)
        if len(np.unique(self.patient[np.isin(self.slice, shared)])) < 2:
            raise TrainingError(
                "Fewer than two patients have the same slice in two sequences: nothing is a positive."
            )


def _small(pixels: Pixels | None, side: int) -> NDArray[np.uint8]:
    if pixels is None:
        return np.zeros((side, side), dtype=np.uint8)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    how = cv2.INTER_AREA if min(grey.shape) >= side else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(grey, (side, side), interpolation=how))
    return np.asarray(np.rint(small * _WHITE), dtype=np.uint8)


def _shared(masks: NDArray[np.uint8], slices: NDArray[np.intp]) -> NDArray[np.uint8]:
    union = np.zeros((int(slices.max()) + 1, *masks.shape[1:]), dtype=np.uint8)
    np.maximum.at(union, slices, masks)
    return np.asarray(union[slices], dtype=np.uint8)
