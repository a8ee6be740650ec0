"""Values of a header, read without trusting them: texts, numbers and functional groups."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from inference.reading import text_of

_SLICE_NORMAL_TOLERANCE: Final = 1e-3


def functional_group(header: Dataset, frame_index: int, keyword: str) -> Dataset:
    """The item of a functional group macro for one frame; the header itself where there is none.

    Source:
        DICOM PS3.3 C.7.6.16 (per-frame before shared functional groups).
    """
    for groups, index in (
        ("PerFrameFunctionalGroupsSequence", frame_index),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        item = sequence_item(header, groups, index)
        macro = sequence_item(item, keyword, 0) if item is not None else None
        if macro is not None:
            return macro
    return header


def texts_of(header: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an element as stripped texts, without the empty ones; none when it is unreadable."""
    try:
        value = header.get(keyword)
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
        texts = [str(one).strip("\0 \t\r\n") for one in value] if several else [text_of(header, keyword)]
    except Exception:  # noqa: BLE001 - a malformed value raises whatever its converter raises
        return ()
    return tuple(text for text in texts if text)


def number_of(header: Dataset, keyword: str) -> float | None:
    """The first value of an element as a finite number; None when it is missing or malformed."""
    numbers = numbers_of(header, keyword)
    return numbers[0] if numbers else None


def numbers_of(header: Dataset, keyword: str) -> tuple[float, ...]:
    """All values of an element as finite numbers; empty when one of them is malformed."""
    try:
        value = header.get(keyword)
        if value is None or value == "":
            return ()
        several = isinstance(value, str | int | float) or not hasattr(value, "__iter__")
        numbers = tuple(float(v) for v in ([value] if several else value))
    except Exception:  # noqa: BLE001 - a malformed value raises whatever its converter raises
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def position_mm(header: Dataset) -> float | None:
    """Image Position (Patient) projected on the slice normal, in mm; None where it is unknown.

    Source:
        DICOM PS3.3 C.7.6.2.1.1.
    """
    position = numbers_of(header, "ImagePositionPatient")
    orientation = numbers_of(header, "ImageOrientationPatient")
    if len(position) != 3 or len(orientation) != 6:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    if abs(float(np.linalg.norm(normal)) - 1) > _SLICE_NORMAL_TOLERANCE * 10:
        return None
    return float(np.dot(normal, position))


def sequence_item(header: Dataset, keyword: str, index: int) -> Dataset | None:
    """One item of a sequence (0-based); None when it is missing or malformed."""
    try:
        sequence = header.get(keyword)
    except Exception:  # noqa: BLE001 - a malformed sequence raises whatever pydicom raises
        return None
    if not isinstance(sequence, list) and not hasattr(sequence, "__getitem__"):
        return None
    items = list(sequence) if sequence is not None else []
    return items[index] if index < len(items) and isinstance(items[index], Dataset) else None
