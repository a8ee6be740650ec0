"""What a decoder process does: open one file, decode and render its frames, and answer with plain values.

This module is what `spawn` and `forkserver` import in a decoder: it must stay cheap, and never import
ONNX Runtime.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import warnings
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.errors import Rejected
from indexer.ports import Window
from inference.attributes import HeaderAttributes, attributes_of
from inference.decoding import StoredPixels
from inference.header_values import number_of, position_mm
from inference.limits import Limits
from inference.png_text import labelled, texts_of
from inference.preprocess import Preprocessing, preprocess
from inference.reading import Identity, identity_of, open_instance
from inference.rendering import Window as VoiWindow
from inference.rendering import is_blank, render_frame, show_frame, to_png

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_MMAP_THRESHOLD = 32 * 2**20
_KEPT_FREED_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """What sampling and grouping need to know of a file."""

    identity: Identity
    attributes: HeaderAttributes
    number_of_frames: int
    instance_number: int | None
    position_mm: float | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """One frame as a model's input, or the reason why it is not.

    `pixels` is float32 (channels, height, width); None when the frame was refused. `blank` says that it
    shows nothing: one grey level.
    """

    frame_index: int
    pixels: NDArray[np.float32] | None
    blank: bool = False
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PreparedInstance:
    """The frames of one instance that were asked for, in the order asked."""

    identity: Identity
    attributes: HeaderAttributes
    frames: tuple[PreparedFrame, ...]


def start_decoder(limits: Limits) -> None:
    """Set a decoder process up: bounded memory, one thread, no chatter, no life after its parent.

    Libraries quote the values of the files they read, patients' names among them, in warnings and log
    lines, and codecs write to standard error by themselves: a decoder has nowhere to write to. What it
    has to say, it answers.
    """
    warnings.simplefilter("ignore")
    logging.disable()
    _be_silent()
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _die_with_the_parent()
    _keep_freed_memory()
    _bound_memory(limits.memory_bytes)


def summarise(path: Path, limits: Limits) -> InstanceSummary:
    """Read the header of one file. Raises Rejected, Unsupported or TooLarge."""
    with open_instance(path, limits) as instance:
        number = number_of(instance.header, "InstanceNumber")
        return InstanceSummary(
            identity=identity_of(instance),
            attributes=attributes_of(instance.header),
            number_of_frames=StoredPixels(instance, limits).description.number_of_frames,
            instance_number=None if number is None else int(number),
            position_mm=position_mm(instance.header),
            size_bytes=path.stat().st_size,
        )


def prepare(
    path: Path, frame_indices: tuple[int, ...], wanted: Preprocessing, limits: Limits
) -> PreparedInstance:
    """Decode, render and preprocess frames of one file.

    A frame that cannot be decoded is refused on its own; what concerns the whole file raises.

    Args:
        path: a DICOM file.
        frame_indices: 0-based.
        wanted: the model's input.
        limits: against hostile files.

    Raises:
        Rejected: nothing of the file can be used.
    """
    with open_instance(path, limits) as instance:
        pixels = StoredPixels(instance, limits)
        return PreparedInstance(
            identity=identity_of(instance),
            attributes=attributes_of(instance.header),
            frames=tuple(_prepared(pixels, index, wanted) for index in frame_indices),
        )


def render(
    path: Path, frame_index: int, longest_side: int, limits: Limits, window: Window | None = None
) -> bytes:
    """One frame of a file as a PNG, a grey one through `window` where that is given.

    The PNG says which window a grey frame was rendered with: see `inference.png_text`.

    Raises:
        Rejected: the frame cannot be shown; NotFound when there is no such frame.
    """
    wanted = None if window is None else VoiWindow(window.center, window.width)
    with open_instance(path, limits) as instance:
        shown = show_frame(StoredPixels(instance, limits).frame(frame_index), wanted)
        return labelled(to_png(shown.pixels, longest_side), texts_of(shown))


def _prepared(pixels: StoredPixels, frame_index: int, wanted: Preprocessing) -> PreparedFrame:
    try:
        rendered = render_frame(pixels.frame(frame_index))
    except Rejected as refused:
        return PreparedFrame(frame_index, None, reason=refused.reason, detail=str(refused))
    return PreparedFrame(frame_index, preprocess(rendered, wanted), blank=is_blank(rendered))


def _be_silent() -> None:
    """Lead standard output and standard error away, for Python and for every codec."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _die_with_the_parent() -> None:
    """Even a decoder that hangs inside a codec ends when its worker does.

    The fork server, our parent, ends when nobody holds the write end of its pipe any more: the worker,
    and, unless it is closed here, every decoder. Then the kernel ends us.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        server: Any = forkserver._forkserver  # private, and the only place where the descriptor is
        alive_fd = getattr(server, "_forkserver_alive_fd", None)
        if alive_fd is not None:
            server._forkserver_alive_fd = None
            os.close(alive_fd)


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next frame.

    By default it gives every array back and faults its pages in again for the next frame: measured, three
    quarters of what rendering a 512 x 512 frame costs. Another C library is left as it is.

    Source:
        mallopt(3): M_MMAP_THRESHOLD (32 MiB is the most that counts), M_TRIM_THRESHOLD.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREED_BYTES)


def _bound_memory(memory_bytes: int) -> None:
    """Bound the address space, over what the process has now (its libraries and thread stacks)."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        bound = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
