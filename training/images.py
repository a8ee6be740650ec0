"""A benchmark's images as towers read them: letterboxed to bytes, then brought to ImageNet's statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.benchmark import Benchmark
from inference.preprocess import Preprocessing, preprocess

MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
WHITE: Final = 255.0


def letterboxed(benchmark: Benchmark, side: int) -> NDArray[np.uint8]:
    """(n, side, side, 3): every image brought to the tower's shape by the product's own preprocessing."""
    images = np.empty((len(benchmark), side, side, 3), dtype=np.uint8)
    for index, planes in enumerate(_planes(benchmark, side)):
        images[index] = planes.transpose(1, 2, 0)
    return images


def read_images(benchmark: Benchmark, side: int) -> Tensor:
    """uint8 (n, 3, side, side): what `letterboxed` gives, channels first."""
    images = np.empty((len(benchmark), 3, side, side), dtype=np.uint8)
    for index, planes in enumerate(_planes(benchmark, side)):
        images[index] = planes
    return torch.from_numpy(images)


def in_unit_range(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same shape, float32 in [0, 1]."""
    return np.asarray(images, dtype=np.float32) / np.float32(WHITE)


def normalised(images: Tensor) -> Tensor:
    """(n, 3, h, w) or grey (n, 1, h, w) in [0, 1] to (n, 3, h, w) as ImageNet's towers expect it."""
    mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (MEAN, STD))
    return (images - mean) / std


def _planes(benchmark: Benchmark, side: int) -> Iterator[NDArray[np.float32]]:
    """Whole numbers (3, side, side) from 0 to 255, an image each."""
    wanted = Preprocessing(3, side, side, "letterbox", 0.0, WHITE, (0.0,) * 3, (1.0,) * 3)
    for index in range(len(benchmark)):
        yield np.rint(preprocess(benchmark.pixels(index), wanted))
