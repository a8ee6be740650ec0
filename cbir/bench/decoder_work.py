"""What the bench asks a decoder process to do: decode and nothing else, or say how long rendering takes.

A decoder imports this module: it stays cheap.
"""

from __future__ import annotations

import time
from pathlib import Path

from inference.decoding import StoredPixels
from inference.limits import Limits
from inference.preprocess import Preprocessing, preprocess
from inference.reading import open_instance
from inference.rendering import render_frame


def decode(path: Path, frame_indices: tuple[int, ...], limits: Limits) -> int:
    """Decode frames (0-based) and throw them away; gives the bytes of their stored values."""
    with open_instance(path, limits) as instance:
        pixels = StoredPixels(instance, limits)
        return sum(pixels.frame(index).values.nbytes for index in frame_indices)


def rendering_s(path: Path, frame_indices: tuple[int, ...], wanted: Preprocessing, limits: Limits) -> float:
    """Seconds that it takes to render and preprocess frames (0-based) that are decoded already."""
    with open_instance(path, limits) as instance:
        pixels = StoredPixels(instance, limits)
        frames = [pixels.frame(index) for index in frame_indices]
        started = time.perf_counter()
        for frame in frames:
            preprocess(render_frame(frame), wanted)
        return time.perf_counter() - started
