"""Lookup tables of a header: Modality LUT, VOI LUT and colour palettes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from indexer.errors import Rejected
from inference.header_values import numbers_of

_CHANNELS: Final = ("Red", "Green", "Blue")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`entries` stand for the values `first`, `first` + 1, …; what lies outside takes the nearest end."""

    first: int
    bits: int
    entries: NDArray[np.float32]

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Look every value up: float32 of the same shape (entries may have a channel axis)."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index.astype(np.int64)], dtype=np.float32)


def lut_of(item: Dataset, *, signed: bool) -> LookupTable | None:
    """The table of a Modality or VOI LUT sequence item; None when it is malformed.

    Source:
        DICOM PS3.3 C.11.1.1.1, C.11.2.1.1 (LUT Descriptor, LUT Data).
    """
    descriptor = numbers_of(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    count, first, bits = _descriptor(descriptor, signed=signed)
    entries = _entries(item.get("LUTData"), count, little=_is_little_endian(item))
    if entries is None or not 1 <= bits <= 16:
        return None
    return LookupTable(first=first, bits=bits, entries=entries)


def palette_of(header: Dataset, *, signed: bool) -> LookupTable:
    """The colour palette, plain or segmented: entries (n, 3) in [0, 1].

    Entries of 16 bits whose values all fit into 8 are read as 8-bit ones: many devices write them so.

    Raises:
        Rejected: there is no palette, or it is malformed.

    Source:
        DICOM PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2 (segmented).
    """
    descriptor = numbers_of(header, "RedPaletteColorLookupTableDescriptor")
    table = None
    if len(descriptor) == 3:
        count, first, _ = _descriptor(descriptor, signed=signed)
        plain = "RedPaletteColorLookupTableData" in header
        table = _plain(header, count) if plain else _segmented(header, count)
    if table is None or not table.size:
        raise Rejected("The colour palette is missing or malformed.", reason="invalid_palette")
    full = 255.0 if table.max() <= 255 else 65535.0
    return LookupTable(first=first, bits=8, entries=(table / full).astype(np.float32))


def _plain(header: Dataset, count: int) -> NDArray[np.float32] | None:
    little = _is_little_endian(header)
    channels = [
        _entries(header.get(f"{name}PaletteColorLookupTableData"), count, little=little) for name in _CHANNELS
    ]
    whole = [channel for channel in channels if channel is not None]
    if len(whole) != 3 or len({len(channel) for channel in whole}) != 1:
        return None
    return np.stack(whole, axis=-1)


def _segmented(header: Dataset, count: int) -> NDArray[np.float32] | None:
    """Expanded by pydicom, over every index of the table."""
    palette = Dataset()
    palette.set_original_encoding(is_implicit_vr=True, is_little_endian=_is_little_endian(header))
    for name in _CHANNELS:
        for keyword in (
            f"{name}PaletteColorLookupTableDescriptor",
            f"Segmented{name}PaletteColorLookupTableData",
        ):
            if keyword in header:
                palette[keyword] = header[keyword]
    palette.RedPaletteColorLookupTableDescriptor[1] = 0
    try:
        table = apply_color_lut(np.arange(count, dtype=np.int32), palette)
    except Exception:  # noqa: BLE001 - pydicom raises anything over a malformed palette
        return None
    return table[:, :3].astype(np.float32)


def _descriptor(numbers: tuple[float, ...], *, signed: bool) -> tuple[int, int, int]:
    """(entries, first value mapped, bits); 0 entries are 65,536; a negative first may be written unsigned."""
    count, first, bits = (int(number) for number in numbers)
    count = count % 2**16 or 2**16
    if signed and first >= 2**15:
        first -= 2**16
    return count, first, bits


def _entries(data: object, count: int, *, little: bool) -> NDArray[np.float32] | None:
    if isinstance(data, bytes):
        return _unpacked(data, count, little=little)
    if isinstance(data, int):
        data = [data]
    if data is None or not hasattr(data, "__iter__"):
        return None
    table = np.fromiter((int(v) for v in data), dtype=np.float32)
    return table[:count] if table.size else None


def _unpacked(data: bytes, count: int, *, little: bool) -> NDArray[np.float32] | None:
    """8-bit entries when there is no room for 16-bit ones."""
    kind = np.dtype("<u2" if little else ">u2") if len(data) >= 2 * count else np.dtype("u1")
    table = np.frombuffer(data, dtype=kind, count=min(count, len(data) // kind.itemsize))
    return table.astype(np.float32) if table.size else None


def _is_little_endian(header: Dataset) -> bool:
    return header.original_encoding[1] is not False
