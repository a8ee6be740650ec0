"""Changes of a rendered frame that change nothing of what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from inference.preprocess import Pixels

Perturb = Callable[[Pixels, np.random.Generator], Pixels]
"""float32 in [0, 1], grey or RGB, to the same kind; a crop is smaller."""

_WHITE: Final = 255


def _window(width: float, level: float = 0.0) -> Perturb:
    """The display window, `width` times as wide and moved by `level` of its range."""

    def perturb(frame: Pixels, _rng: np.random.Generator) -> Pixels:
        return np.asarray(np.clip((frame - 0.5 - level) / width + 0.5, 0.0, 1.0), dtype=np.float32)

    return perturb


def _noise(sigma: float) -> Perturb:
    """Gaussian noise of this standard deviation, as a share of the display range."""

    def perturb(frame: Pixels, rng: np.random.Generator) -> Pixels:
        noise = rng.normal(0.0, sigma, frame.shape[:2])
        shaped = noise[..., None] if frame.ndim == 3 else noise
        return np.asarray(np.clip(frame + shaped, 0.0, 1.0), dtype=np.float32)

    return perturb


def _crop(share: float) -> Perturb:
    """A part with this share of each side, anywhere."""

    def perturb(frame: Pixels, rng: np.random.Generator) -> Pixels:
        rows, columns = (max(1, round(side * share)) for side in frame.shape[:2])
        top = int(rng.integers(0, frame.shape[0] - rows + 1))
        left = int(rng.integers(0, frame.shape[1] - columns + 1))
        return np.ascontiguousarray(frame[top : top + rows, left : left + columns])

    return perturb


def _jpeg(quality: int) -> Perturb:
    """Encoded as a JPEG of this quality and decoded again."""

    def perturb(frame: Pixels, _rng: np.random.Generator) -> Pixels:
        stored = np.rint(frame * _WHITE).astype(np.uint8)
        _, encoded = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        return np.asarray(decoded, dtype=np.float32) / np.float32(_WHITE)

    return perturb


PERTURBATIONS: Final[dict[str, Perturb]] = {
    "window 0.8 as wide": _window(0.8),
    "window 1.25 as wide": _window(1.25),
    "window 0.1 higher": _window(1.0, level=0.1),
    "noise of 0.02": _noise(0.02),
    "noise of 0.05": _noise(0.05),
    "crop of 0.9": _crop(0.9),
    "crop of 0.8": _crop(0.8),
    "JPEG of quality 75": _jpeg(75),
    "JPEG of quality 40": _jpeg(40),
}
