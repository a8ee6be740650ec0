"""Images that an export is checked on, and others to calibrate with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from evaluation.benchmark import LABELS_NAME, Benchmark, LabelledImage
from inference.card import EncoderError
from inference.preprocess import Pixels

_WHITE: Final = np.float32(255)
_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class CheckImages:
    """Rendered frames, float32 in [0, 1]; none is in both.

    Attributes:
        checked: parity is checked on them.
        calibration: ranges of int8 are found with them.
        rows: of a benchmark, what is known of `checked`.
    """

    checked: tuple[Pixels, ...]
    calibration: tuple[Pixels, ...]
    rows: tuple[LabelledImage, ...] = ()

    @classmethod
    def read(cls, folder: Path, checked: int, calibration: int) -> CheckImages:
        """Draw from a benchmark, or from all pictures of a folder, the same at every call.

        Where there are too few for both, each gets its share.

        Raises:
            EncoderError: there are fewer than two pictures, or one cannot be read.
            BenchmarkError: the benchmark cannot be used.
        """
        if (folder / LABELS_NAME).is_file():
            benchmark = Benchmark.open(folder)
            first, second = _drawn(len(benchmark), checked, calibration, folder)
            return cls(
                tuple(benchmark.pixels(i) for i in first),
                tuple(benchmark.pixels(i) for i in second),
                tuple(benchmark.images[i] for i in first),
            )
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
        first, second = _drawn(len(paths), checked, calibration, folder)
        return cls(tuple(_read(paths[i]) for i in first), tuple(_read(paths[i]) for i in second))


def _drawn(there: int, checked: int, calibration: int, folder: Path) -> tuple[list[int], list[int]]:
    if there < 2:
        raise EncoderError(
            f"{folder} holds {there} pictures: parity is checked on real images. Name a benchmark, or a "
            "folder with PNG or JPEG files of the kind that will be embedded."
        )
    if checked + calibration > there:
        share = checked / (checked + calibration)
        checked = max(1, round(there * share))
        calibration = there - checked
    order = [int(i) for i in np.random.default_rng(_SEED).permutation(there)]
    return order[:checked], order[checked : checked + calibration]


def _read(path: Path) -> Pixels:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.float32) / _WHITE
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
        raise EncoderError(f"{path} is not a picture that can be read: {error}") from error
