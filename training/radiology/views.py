"""Augmented views of images, brought through the frozen trunk once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.images import in_unit_range, normalised
from training.towers.radiology import TRUNK_CHANNELS, Trunk

SIDE: Final = 224
TRUNK_STRIDE: Final = 16
_BATCH: Final = 64
_PREPARING: Final = 3
_AHEAD: Final = 6
"""Batches that may wait to be embedded: 40 MB each."""

Image = NDArray[np.float32]
Progress = Callable[[int, int], None]


def model_inputs(images: NDArray[np.float32]) -> Tensor:
    """(n, side, side, 3) in [0, 1] to the tower's input, float32 (n, 3, side, side)."""
    planes = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return normalised(planes).contiguous(memory_format=torch.channels_last)


def augmented(image: NDArray[np.uint8], rng: np.random.Generator) -> Image:
    """One view: turned, zoomed, shifted, mirrored, with other contrast, sharpness or noise, a part hidden.

    The loss of sharpness is drawn often: one data set is of 64 x 64 pixels, and how sharp an image is
    must not tell where it comes from.

    Args:
        image: uint8 (side, side, 3).
        rng: what is drawn.

    Returns:
        float32 (side, side, 3) in [0, 1].
    """
    planes = image if _is_coloured(image) else image[..., :1]
    moved = cv2.warpAffine(planes, _placement(rng), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    pixels = _degraded(_brightness(rng)[moved].reshape(planes.shape), rng)
    if rng.random() < 0.25:
        rows, columns = rng.integers(20, 70, 2)
        top, left = rng.integers(0, SIDE - rows), rng.integers(0, SIDE - columns)
        pixels[top : top + rows, left : left + columns] = pixels.mean()
    return np.broadcast_to(np.clip(pixels, 0.0, 1.0), image.shape)


def trunk_views(
    trunk: Trunk, images: NDArray[np.uint8], views: int, seed: int, progress: Progress = lambda *_: None
) -> Tensor:
    """The images themselves and `views` views of each, after the trunk.

    Args:
        trunk: frozen; in evaluation mode.
        images: uint8 (n, side, side, 3).
        views: how many augmented ones of each.
        seed: of what is drawn; a view depends on it, on its number and on its image's place only.
        progress: told how many of how many images are done.

    Returns:
        bfloat16 (1 + views, n, 64, side / 16, side / 16), the first as they are.
    """
    side = SIDE // TRUNK_STRIDE
    out = torch.empty(1 + views, len(images), TRUNK_CHANNELS, side, side, dtype=torch.bfloat16)
    jobs = [(view, start) for view in range(1 + views) for start in range(0, len(images), _BATCH)]

    def prepared(view: int, start: int) -> Tensor:
        return model_inputs(np.stack(list(_views(images, view, start, seed))))

    with ThreadPoolExecutor(_PREPARING) as pool, torch.inference_mode():
        ahead = deque(pool.submit(prepared, *job) for job in jobs[:_AHEAD])
        for number, (view, start) in enumerate(jobs):
            inputs = ahead.popleft().result()
            ahead.extend(pool.submit(prepared, *job) for job in jobs[number + _AHEAD : number + _AHEAD + 1])
            with torch.autocast("cpu", torch.bfloat16):
                out[view, start : start + _BATCH] = trunk(inputs)
            progress(view * len(images) + start + len(inputs), (1 + views) * len(images))
    return out


def _views(images: NDArray[np.uint8], view: int, start: int, seed: int) -> Iterator[Image]:
    for index in range(start, min(start + _BATCH, len(images))):
        if view == 0:
            yield in_unit_range(images[index])
        else:
            yield augmented(images[index], np.random.default_rng((seed, view, index)))


def _placement(rng: np.random.Generator) -> NDArray[np.float64]:
    """An affine map (2, 3) from image to view, in pixels."""
    middle = SIDE / 2
    zoom = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    matrix = np.asarray(
        cv2.getRotationMatrix2D((middle, middle), rng.uniform(-12, 12), zoom), dtype=np.float64
    )
    matrix[:, 2] += rng.uniform(-0.07, 0.07, 2) * SIDE
    aspect = float(np.exp(rng.uniform(-0.12, 0.12)))
    matrix[0] *= aspect
    matrix[0, 2] += middle * (1 - aspect)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += SIDE - 1
    return matrix


def _is_coloured(image: NDArray[np.uint8]) -> bool:
    return bool((image[..., 0] != image[..., 1]).any() or (image[..., 1] != image[..., 2]).any())


def _brightness(rng: np.random.Generator) -> Image:
    """(256,) what each grey becomes: another gamma, gain and offset."""
    greys = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.35, 0.35))
    return np.asarray(greys * rng.uniform(0.8, 1.2) + rng.uniform(-0.06, 0.06), dtype=np.float32)


def _degraded(pixels: Image, rng: np.random.Generator) -> Image:
    """The same (side, side, channels), sometimes less sharp or noisy."""
    drawn = rng.random()
    if drawn < 0.2:
        blurred = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 1.8))
        return np.asarray(blurred, dtype=np.float32).reshape(pixels.shape)
    if drawn < 0.5:
        small = int(rng.integers(56, 160))
        shrunk = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
        grown = cv2.resize(shrunk, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, dtype=np.float32).reshape(pixels.shape)
    if drawn < 0.65:
        noise = rng.standard_normal((SIDE, SIDE, 1), dtype=np.float32)
        return pixels + np.float32(rng.uniform(0.01, 0.05)) * noise
    return pixels
