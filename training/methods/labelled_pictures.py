"""Pictures with a class each, read into memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.benchmark import Benchmark
from training.errors import TrainingError
from training.images import read_images

LABELS: Final = ("finding", "modality", "body_part", "view_or_sequence", "plane")


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """n pictures.

    Attributes:
        benchmark: the rows they are of.
        images: uint8 (n, 3, side, side), letterboxed.
        target: int64 (n,), class numbers.
        classes: their names, sorted.
    """

    benchmark: Benchmark
    images: Tensor
    target: NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def read(cls, benchmark: Benchmark, label: str, side: int) -> LabelledPictures:
        """Read the rows that have the label.

        Args:
            benchmark: rows of one data set.
            label: a column, or several: `modality+body_part`.
            side: pixels.

        Raises:
            TrainingError: there is no such label, no row has it, or all rows have the same.
            BenchmarkError: an image cannot be read.
        """
        unknown = [part for part in label.split("+") if part not in LABELS]
        if unknown:
            raise TrainingError(f"There is no label {unknown[0]!r}: take one of {', '.join(LABELS)}.")
        known = [i for i, image in enumerate(benchmark.images) if image.label(label)]
        if not known:
            raise TrainingError(f"The label {label} is empty in all {len(benchmark)} rows: take another.")
        rows = benchmark.at(known)
        classes, target = np.unique([image.label(label) for image in rows.images], return_inverse=True)
        if len(classes) < 2:
            raise TrainingError(f"All rows have the {label} {classes[0]}: there is nothing to tell apart.")
        return cls(rows, read_images(rows, side), target.astype(np.int64), tuple(map(str, classes)))

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.target)

    def at(self, indices: NDArray[np.intp]) -> LabelledPictures:
        """The pictures at these places; the classes stay as they are. Raises BenchmarkError without any."""
        return replace(
            self,
            benchmark=self.benchmark.at(indices.tolist()),
            images=self.images[torch.from_numpy(indices)],
            target=self.target[indices],
        )


def balanced(target: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Places of a batch in which each class is as frequent as every other, give or take one.

    Args:
        target: (n,) class numbers; a class without an image is passed over.
        size: of the batch.
        random: what is drawn with.
    """
    present = random.permutation(np.unique(target))
    chosen = [np.flatnonzero(target == present[place % len(present)]) for place in range(size)]
    return np.array([own[random.integers(len(own))] for own in chosen], dtype=np.intp)
