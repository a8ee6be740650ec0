"""Vectors of the images that a run with a fold held out did not learn from, to be scored."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from evaluation.benchmark import Benchmark
from evaluation.vectors import ImageVectors
from training.images import in_unit_range, letterboxed
from training.radiology.views import SIDE, model_inputs
from training.towers.radiology import RadiologyTower

VECTORS_NAME: Final = "vectors.npz"
_BATCH: Final = 32


def left_out(benchmark: Benchmark, learned: Benchmark) -> Benchmark:
    """What was not learned from: the fold, and every image that may not be shipped with."""
    names = {image.image for image in learned.images}
    return benchmark.where(lambda image: image.image not in names)


@torch.inference_mode()
def vectors_of(tower: RadiologyTower, benchmark: Benchmark) -> ImageVectors:
    """Vectors of a benchmark's images by the tower, in evaluation mode."""
    images = letterboxed(benchmark, SIDE)
    parts = []
    for start in range(0, len(images), _BATCH):
        some = in_unit_range(images[start : start + _BATCH])
        parts.append(tower(model_inputs(some)).numpy())
    return ImageVectors(tuple(image.image for image in benchmark.images), np.concatenate(parts))
