"""What no encoder of radiology was made for: noise, and photographs of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from evaluation.errors import BenchmarkError
from inference.preprocess import Pixels

SMALLEST_SIDE: Final = 64
LARGEST_SIDE: Final = 512
PHOTOGRAPHS: Final[Mapping[str, tuple[str, str]]] = {
    "china": ("sklearn.datasets", "images/china.jpg"),
    "flower": ("sklearn.datasets", "images/flower.jpg"),
    "grace hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
"""Photographs that installed packages bring: two of CC BY 2.0, one in the public domain."""
_SMALLEST_CROP: Final = 0.35
_LARGEST_CROP: Final = 0.9


def _uniform(rng: np.random.Generator, side: int) -> Pixels:
    return rng.random((side, side), dtype=np.float32)


def _normal(rng: np.random.Generator, side: int) -> Pixels:
    return np.clip(rng.normal(0.5, 0.2, (side, side)), 0, 1).astype(np.float32)


def _blurred(rng: np.random.Generator, side: int) -> Pixels:
    noise = rng.random((side, side), dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), rng.uniform(1.0, 8.0))
    return _stretched(np.asarray(blurred, dtype=np.float32))


def _pink(rng: np.random.Generator, side: int) -> Pixels:
    """Its power falls with the square of the frequency, as that of many pictures does."""
    spectrum = np.fft.rfft2(rng.normal(size=(side, side)))
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    radius[0, 0] = 1.0
    return _stretched(np.fft.irfft2(spectrum / radius, s=(side, side)).astype(np.float32))


def _coloured(rng: np.random.Generator, side: int) -> Pixels:
    return rng.random((side, side, 3), dtype=np.float32)


def _salt_and_pepper(rng: np.random.Generator, side: int) -> Pixels:
    return (rng.random((side, side)) > 0.5).astype(np.float32)


def _sparse(rng: np.random.Generator, side: int) -> Pixels:
    return (rng.random((side, side)) > 0.97).astype(np.float32)


def _speckle(rng: np.random.Generator, side: int) -> Pixels:
    return np.clip(rng.rayleigh(0.28, (side, side)), 0, 1).astype(np.float32)


def _lines(rng: np.random.Generator, side: int) -> Pixels:
    return np.repeat(rng.random((side, 1), dtype=np.float32), side, axis=1)


NOISES: Final[Mapping[str, Callable[[np.random.Generator, int], Pixels]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "blurred": _blurred,
    "pink": _pink,
    "coloured": _coloured,
    "salt and pepper": _salt_and_pepper,
    "sparse": _sparse,
    "speckle": _speckle,
    "lines": _lines,
}
EXEMPLARY: Final = ("uniform", "normal", "blurred", "pink")
"""The kinds that an encoder may be shown as examples of the outside; the others are left to test it."""


def noise(kinds: Sequence[str], count: int, seed: int) -> Iterator[tuple[str, Pixels]]:
    """`count` frames of each kind of noise with the kind, of different sizes; the same for a seed."""
    for kind in kinds:
        for number in range(count):
            rng = np.random.default_rng([seed, number, *kind.encode()])
            yield kind, NOISES[kind](rng, int(rng.integers(SMALLEST_SIDE, LARGEST_SIDE)))


def photograph_crops(count: int, seed: int) -> Iterator[tuple[str, Pixels]]:
    """`count` square parts of each photograph with its name, half of them grey; the same for a seed.

    Raises:
        BenchmarkError: a package has moved its photograph.
    """
    for name, (package, path) in PHOTOGRAPHS.items():
        photograph = _photograph(Path(str(files(package).joinpath(path))))
        rows, columns = photograph.shape[:2]
        for number in range(count):
            rng = np.random.default_rng([seed, number, *name.encode()])
            side = int(rng.uniform(_SMALLEST_CROP, _LARGEST_CROP) * min(rows, columns))
            top, left = rng.integers(0, rows - side + 1), rng.integers(0, columns - side + 1)
            crop = photograph[top : top + side, left : left + side]
            yield name, crop if number % 2 == 0 else _grey(crop)


def _grey(colour: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _photograph(path: Path) -> Pixels:
    decoded = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if decoded is None:
        raise BenchmarkError(f"{path} is not there: install scikit-learn and matplotlib as they are pinned.")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)


def _stretched(picture: Pixels) -> Pixels:
    low, high = float(picture.min()), float(picture.max())
    return np.asarray((picture - low) / max(high - low, 1e-6), dtype=np.float32)
