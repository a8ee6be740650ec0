"""Vectors of a benchmark's images, and of captions, in the file that scores are read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import BenchmarkError
from indexer.domain import Vector

# A lone .npy is an array, no archive: it has no names, and is no context manager.
_UNREADABLE: Final = (OSError, EOFError, KeyError, TypeError, AttributeError, ValueError, BadZipFile)


@dataclass(frozen=True, slots=True)
class ImageVectors:
    """Vectors with what they stand for.

    Attributes:
        image: (n,) paths as in labels.csv.
        vector: float32 (n, d).
        caption: (m,) captions, of a joint space; empty without one.
        caption_vector: float32 (m, d).
    """

    image: tuple[str, ...]
    vector: Vector
    caption: tuple[str, ...] = ()
    caption_vector: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse vectors that are not one a name, or not finite."""
        _refuse_bad("image", self.image, self.vector)
        if self.caption_vector is not None:
            _refuse_bad("caption", self.caption, self.caption_vector)

    def write(self, path: Path) -> None:
        """Write an .npz, whole or not at all: image, vector and, of a joint space, caption and its vector."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"image": np.array(self.image), "vector": self.vector}
        if self.caption_vector is not None:
            arrays |= {"caption": np.array(self.caption), "caption_vector": self.caption_vector}
        beside = path.with_name(f"{path.name}.part")
        with beside.open("wb") as file:  # by its name, numpy would add an ending
            np.savez_compressed(file, allow_pickle=False, **arrays)
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> ImageVectors:
        """Read what `write` wrote. Raises BenchmarkError when it is something else."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                captioned = "caption" in arrays
                return cls(
                    image=tuple(map(str, arrays["image"])),
                    vector=arrays["vector"].astype(np.float32),
                    caption=tuple(map(str, arrays["caption"])) if captioned else (),
                    caption_vector=arrays["caption_vector"].astype(np.float32) if captioned else None,
                )
        except _UNREADABLE as error:
            raise BenchmarkError(f"{path} does not hold the arrays image and vector: {error}") from error


def _refuse_bad(kind: str, names: tuple[str, ...], vectors: NDArray[np.float32]) -> None:
    if vectors.ndim != 2 or len(names) != len(vectors):
        raise BenchmarkError(f"{len(names)} {kind} names do not fit vectors of the shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise BenchmarkError(f"Some {kind} vectors are not finite.")
