"""Whether ONNX Runtime answers as torch does, on real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from indexer.domain import Vector
from inference.card import EncoderError
from inference.preprocess import Pixels, Preprocessing, preprocess

Precision = Literal["fp32", "fp16", "int8"]

LARGEST_DIFFERENCE: Final = 1e-4
SMALLEST_COSINE: Final = 0.999
_BATCH: Final = 16
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the exported embeddings are from torch's.

    Attributes:
        images: how many were compared.
        difference: the largest of a component of the unit vectors.
        relative: the largest of a component of the raw vectors, by the largest component there is.
        cosine: the smallest of an image's two vectors.
        mean_cosine: over the images.
    """

    images: int
    difference: float
    relative: float
    cosine: float
    mean_cosine: float

    @classmethod
    def of(cls, ours: Vector, exported: Vector) -> Agreement:
        """Compare two (n, d), raw."""
        unit, other = _unit(ours), _unit(exported)
        cosines = (unit * other).sum(axis=1)
        return cls(
            images=len(ours),
            difference=float(np.abs(unit - other).max()),
            relative=float(np.abs(ours - exported).max() / max(float(np.abs(ours).max()), _TINY)),
            cosine=float(cosines.min()),
            mean_cosine=float(cosines.mean()),
        )

    def holds(self, precision: Precision) -> bool:
        """Whether it is near enough: 1e-4 in fp32, cosine above 0.999 otherwise; NaN is not."""
        if precision == "fp32":
            return self.difference < LARGEST_DIFFERENCE and self.relative < LARGEST_DIFFERENCE
        return self.cosine > SMALLEST_COSINE

    def __str__(self) -> str:
        """The figures, for an error or a report."""
        return (
            f"{self.images} images, largest difference {self.difference:.2g} of unit vectors and "
            f"{self.relative:.2g} of raw ones, cosine {self.cosine:.6f} at least, {self.mean_cosine:.6f} mean"
        )

    def require(self, precision: Precision) -> None:
        """Refuse what is too far. Raises EncoderError with the figures."""
        if self.holds(precision):
            return
        if precision == "fp32":
            raise EncoderError(
                f"ONNX Runtime answers otherwise than torch ({self}; {LARGEST_DIFFERENCE:g} is allowed): "
                "nothing was written. Is the module in evaluation mode, and free of what is drawn at random?"
            )
        raise EncoderError(
            f"{precision} changes the vectors too much ({self}; a cosine above {SMALLEST_COSINE:g} is "
            "wanted of every image): nothing was written. Use fp32 or fp16, or give more images of the kind "
            "that will be embedded to calibrate with."
        )


def inputs_of(images: Sequence[Pixels], wanted: Preprocessing) -> Pixels:
    """Rendered frames as model inputs, float32 (n, channels, height, width). Raises EncoderError on none."""
    if not images:
        raise EncoderError("Parity is checked on real images: give some.")
    return np.stack([preprocess(image, wanted) for image in images])


def torch_embeddings(tower: nn.Module, inputs: Pixels) -> Vector:
    """What the module itself answers, float32 (n, d)."""
    was_training = tower.training
    tower.eval()
    with torch.no_grad():
        parts = [
            tower(torch.from_numpy(inputs[start : start + _BATCH])).float().numpy()
            for start in range(0, len(inputs), _BATCH)
        ]
    tower.train(was_training)
    return np.concatenate(parts)


def onnx_embeddings(path: Path, inputs: Pixels, output: str, threads: int = 1) -> Vector:
    """What ONNX Runtime answers on the CPU, float32 (n, d)."""
    session = cpu_session(path, threads)
    name = session.get_inputs()[0].name
    parts = [
        session.run([output], {name: inputs[start : start + _BATCH]})[0]
        for start in range(0, len(inputs), _BATCH)
    ]
    return np.concatenate(parts)


def cpu_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises EncoderError when the file is not a model that it can run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a type of its own for each of many causes
        raise EncoderError(f"ONNX Runtime cannot load {path}: {error}") from error


def _unit(vectors: Vector) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _TINY))
