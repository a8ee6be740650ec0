"""A benchmark through the product's own preprocessing and encoder, and the pixels themselves as a floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from evaluation.benchmark import Benchmark
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from inference.encoder import OnnxEncoder, unit_rows
from inference.preprocess import Pixels, Preprocessing, preprocess
from inference.text import TextEncoder

BATCH_SIZE: Final = 32
PIXEL: Final = Preprocessing(
    channels=1, height=32, width=32, resize="stretch", low=0.0, high=1.0, mean=(0.0,), std=(1.0,)
)
_FLAT: Final = 1e-3

Item = TypeVar("Item")

Progress = Callable[[int], None]
"""Told how many more images are done."""

Embed = Callable[[Sequence[Pixels]], Vector]
"""Rendered frames, float32 in [0, 1], to unit rows float32 (n, d); zero where there is no answer."""


@dataclass(frozen=True, slots=True)
class FrameEmbedding:
    """An encoder as a function of rendered frames, preprocessed as its card says, in full batches."""

    encoder: OnnxEncoder
    batch_size: int = BATCH_SIZE

    def __call__(self, frames: Sequence[Pixels]) -> Vector:
        """Implements `Embed`."""
        wanted = self.encoder.card.input.preprocessing
        batches = [
            self.encoder.encode(np.stack([preprocess(frame, wanted) for frame in some]))
            for some in _batches(frames, self.batch_size)
        ]
        return np.concatenate(batches) if batches else np.zeros((0, self.encoder.card.dimension), np.float32)


def pixel_embedding(frames: Sequence[Pixels]) -> Vector:
    """The floor: 32 x 32 grey values, their mean removed, unit length; zero for a flat frame."""
    rows = np.stack([preprocess(frame, PIXEL).ravel() for frame in frames])
    centred = rows - rows.mean(axis=1, keepdims=True)
    centred[np.linalg.norm(centred, axis=1) < _FLAT] = 0.0
    return unit_rows(np.asarray(centred, dtype=np.float32))


def embed_images(benchmark: Benchmark, embed: Embed, progress: Progress | None = None) -> ImageVectors:
    """Embed every image of a benchmark.

    Args:
        benchmark: what to embed; an image is read when its batch is due.
        embed: an encoder's `FrameEmbedding`, or `pixel_embedding`.
        progress: told after each batch.

    Raises:
        BenchmarkError: an image cannot be read.
    """
    batches = []
    for some in _batches(range(len(benchmark)), BATCH_SIZE):
        batches.append(embed([benchmark.pixels(index) for index in some]))
        if progress is not None:
            progress(len(some))
    return ImageVectors(tuple(image.image for image in benchmark.images), np.concatenate(batches))


def with_captions(
    vectors: ImageVectors, benchmark: Benchmark, text: TextEncoder, progress: Progress | None = None
) -> ImageVectors:
    """The same, with the vectors of the benchmark's distinct captions; the same where it has none."""
    captions = distinct_captions(benchmark)
    if not captions:
        return vectors
    embedded = text.encode_all(captions, BATCH_SIZE, progress)
    return ImageVectors(vectors.image, vectors.vector, captions, embedded)


def distinct_captions(benchmark: Benchmark) -> tuple[str, ...]:
    """Each caption once, in the order of the table."""
    return tuple(dict.fromkeys(image.caption for image in benchmark.images if image.caption))


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
