"""A rendered frame to the input of a model, as its card says; training uses this same code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.domain import Region

Pixels = NDArray[np.float32]
Resize = Literal["letterbox", "stretch", "crop"]

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a model expects.

    `resize` is letterbox (all of the frame, black bars), stretch (all of it, squeezed) or crop (the
    middle of it, filled). `low` and `high` are what black and white become; then `mean` is taken off
    and the rest divided by `std`, a value each channel.
    """

    channels: int
    height: int
    width: int
    resize: Resize
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def preprocess(rendered: Pixels, wanted: Preprocessing) -> Pixels:
    """Bring one frame into the shape and range of the model's input.

    Args:
        rendered: float32 in [0, 1], (rows, columns) or (rows, columns, 3).
        wanted: from the model card.

    Returns:
        float32 (channels, height, width).
    """
    resized = _RESIZES[wanted.resize](_with_channels(rendered, wanted.channels), wanted.height, wanted.width)
    planes = resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1)
    ranged = planes * np.float32(wanted.high - wanted.low) + np.float32(wanted.low)
    mean = np.asarray(wanted.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(wanted.std, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray((ranged - mean) / std, dtype=np.float32)


def covered_area(rows: int, columns: int, wanted: Preprocessing) -> Region:
    """The part of a rendered frame that the model's input shows, in fractions of the frame.

    It reaches beyond the frame where that is letterboxed, and leaves margins out where it is cropped.

    Args:
        rows: of the rendered frame.
        columns: of the rendered frame.
        wanted: from the model card.
    """
    if wanted.resize == "letterbox":
        (height, width), (top, left) = _letterboxed(rows, columns, wanted.height, wanted.width)
        return Region(-left / width, -top / height, wanted.width / width, wanted.height / height)
    if wanted.resize == "crop":
        (height, width), (top, left) = _cropped(rows, columns, wanted.height, wanted.width)
        return Region(left / columns, top / rows, width / columns, height / rows)
    return Region(0.0, 0.0, 1.0, 1.0)


def _with_channels(rendered: Pixels, channels: int) -> Pixels:
    """Grey repeated as colour; colour as its luma (ITU-R BT.601)."""
    if channels == 1:
        return np.asarray(rendered @ _LUMA) if rendered.ndim == 3 else rendered
    return rendered if rendered.ndim == 3 else np.repeat(rendered[..., None], channels, axis=2)


def _stretch(pixels: Pixels, height: int, width: int) -> Pixels:
    """Averages when shrinking, interpolates when enlarging."""
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    shrinks = height <= rows and width <= columns
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if not shrinks and (height < rows or width < columns):
        pixels = _resized(pixels, min(height, rows), min(width, columns), cv2.INTER_AREA)
    return _resized(pixels, height, width, how)


def _resized(pixels: Pixels, height: int, width: int, how: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.float32)


def _letterbox(pixels: Pixels, height: int, width: int) -> Pixels:
    inner, (top, left) = _letterboxed(pixels.shape[0], pixels.shape[1], height, width)
    boxed = np.zeros((height, width, *pixels.shape[2:]), dtype=np.float32)
    boxed[top : top + inner[0], left : left + inner[1]] = _stretch(pixels, *inner)
    return boxed


def _crop(pixels: Pixels, height: int, width: int) -> Pixels:
    kept, (top, left) = _cropped(pixels.shape[0], pixels.shape[1], height, width)
    return _stretch(pixels[top : top + kept[0], left : left + kept[1]], height, width)


def _letterboxed(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the frame inside the input, and the place of its first pixel there."""
    scale = min(height / rows, width / columns)
    inner = (min(max(round(rows * scale), 1), height), min(max(round(columns * scale), 1), width))
    return inner, ((height - inner[0]) // 2, (width - inner[1]) // 2)


def _cropped(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of what is kept of the frame, and the place of its first pixel there."""
    scale = max(height / rows, width / columns)
    kept = (min(max(round(height / scale), 1), rows), min(max(round(width / scale), 1), columns))
    return kept, ((rows - kept[0]) // 2, (columns - kept[1]) // 2)


_RESIZES = {"letterbox": _letterbox, "stretch": _stretch, "crop": _crop}
