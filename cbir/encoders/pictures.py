"""Pictures to check an encoder with: a folder of real ones, or drawings that differ in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from indexer.errors import Rejected
from inference.frames import prepare
from inference.limits import Limits
from inference.preprocess import Pixels, Preprocessing, preprocess

MOST: Final = 256
DRAWN: Final = 96
SIDE: Final = 128
SEED: Final = 20


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files of a folder, those of its folders included; None stands for drawings."""

    folder: Path | None

    @property
    def what(self) -> str:
        """What they are, for a sentence."""
        return f"the images of {self.folder}" if self.folder else "drawings"

    def inputs(self, wanted: Preprocessing, limits: Limits) -> NDArray[np.float32]:
        """Model inputs, float32 (n, channels, height, width), n at most MOST.

        The middle frame of a DICOM file stands for it; what is neither a picture nor DICOM is left out.
        """
        read = self._files(wanted, limits) if self.folder else _drawings(wanted)
        kept = list(islice(read, MOST))
        shape = (0, wanted.channels, wanted.height, wanted.width)
        return np.stack(kept) if kept else np.zeros(shape, np.float32)

    def _files(self, wanted: Preprocessing, limits: Limits) -> Iterator[Pixels]:
        for path in sorted((self.folder or Path()).rglob("*")):
            found = _read(path, wanted, limits) if path.is_file() else None
            if found is not None:
                yield found


DRAWINGS: Final = Pictures(None)


def _read(path: Path, wanted: Preprocessing, limits: Limits) -> Pixels | None:
    try:
        with Image.open(path) as picture:
            colour = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0
        return preprocess(colour, wanted)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError):
        pass
    try:
        (frame,) = prepare(path, (0,), wanted, limits).frames
    except (Rejected, OSError, ValueError):
        return None
    return frame.pixels


def _drawings(wanted: Preprocessing) -> Iterator[Pixels]:
    """Rings, stripes, ramps, spots and textures, each with its own place, size, contrast and noise."""
    rng = np.random.default_rng(SEED)
    kinds: tuple[Callable[[np.random.Generator], Pixels], ...] = (_ring, _stripes, _ramp, _spots, _texture)
    for number in range(DRAWN):
        drawn = kinds[number % len(kinds)](rng) * rng.uniform(0.5, 1.0)
        noisy = drawn + rng.normal(0.0, rng.uniform(0.0, 0.08), drawn.shape)
        yield preprocess(np.clip(noisy, 0.0, 1.0).astype(np.float32), wanted)


def _places() -> tuple[Pixels, Pixels]:
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def _ring(rng: np.random.Generator) -> Pixels:
    y, x = _places()
    cy, cx = rng.uniform(-0.4, 0.4, 2)
    off = np.hypot((y - cy) * rng.uniform(0.7, 1.4), x - cx) - rng.uniform(0.2, 0.8)
    return np.asarray(np.exp(-((off / rng.uniform(0.05, 0.25)) ** 2)), dtype=np.float32)


def _stripes(rng: np.random.Generator) -> Pixels:
    y, x = _places()
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 30)
    return np.asarray(0.5 + 0.5 * np.sin(pitch * (y * np.cos(angle) + x * np.sin(angle))), dtype=np.float32)


def _ramp(rng: np.random.Generator) -> Pixels:
    y, x = _places()
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(np.clip(0.5 + 0.5 * (y * np.cos(angle) + x * np.sin(angle)), 0, 1), dtype=np.float32)


def _spots(rng: np.random.Generator) -> Pixels:
    y, x = _places()
    drawn = np.zeros_like(x)
    for cy, cx, radius in rng.uniform((-0.9, -0.9, 0.05), (0.9, 0.9, 0.3), (rng.integers(2, 9), 3)):
        drawn = np.maximum(drawn, np.exp(-((np.hypot(y - cy, x - cx) / radius) ** 2)))
    return np.asarray(drawn, dtype=np.float32)


def _texture(rng: np.random.Generator) -> Pixels:
    coarse = rng.random((cells := int(rng.integers(3, 24)), cells)).astype(np.float32)
    picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(picture, dtype=np.float32), 0, 1)
