"""Stored values to frames that a radiologist would recognise, grey or colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from indexer.errors import Rejected
from inference.decoding import StoredFrame
from inference.header_values import functional_group, number_of, numbers_of
from inference.lookup import LookupTable, lut_of, palette_of
from inference.reading import text_of, tolerant

Pixels = NDArray[np.float32]
Values = NDArray[np.floating[Any]]

CT_WINDOW_HU: Final = (40.0, 400.0)
"""Centre and width for CT without a window: soft tissue."""
PERCENTILES: Final = (0.5, 99.5)
"""The share of modality values that an estimated window leaves dark and light."""
FLAT: Final = 1 / 512
"""Less range than half a grey level of 8 bits is no picture."""

_CT_CLASSES: Final = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
)
_SAMPLED_PIXELS: Final = 2**20
_ASPECT_TOLERANCE: Final = 0.01
_ASPECT_LIMIT: Final = 20.0
_MAX_RESAMPLED_PIXELS: Final = 2**26


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window over modality values; `function` is LINEAR, LINEAR_EXACT or SIGMOID."""

    centre: float
    width: float
    function: str = "LINEAR"

    def apply(self, values: Values) -> Values:
        """Display values in [0, 1].

        Source:
            DICOM PS3.3 C.11.2.1.2.1, C.11.2.1.3. A LINEAR width below 1, which the standard forbids,
            is read as LINEAR_EXACT: it occurs with floating point values.
        """
        if self.function == "SIGMOID":
            return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - self.centre) / self.width, -80, 80))))
        if self.function == "LINEAR_EXACT" or self.width < 1:
            return np.asarray(np.clip((values - self.centre) / self.width + 0.5, 0, 1))
        width = max(self.width - 1, 1e-6)
        return np.asarray(np.clip((values - (self.centre - 0.5)) / width + 0.5, 0, 1))

    def as_linear(self) -> Window:
        """The LINEAR window of the same ramp; a SIGMOID's with its centre and width."""
        if self.function == "SIGMOID" or (self.function != "LINEAR_EXACT" and self.width >= 1):
            return Window(self.centre, self.width)
        return Window(self.centre + 0.5, self.width + 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendered frame, and how its grey came about.

    Attributes:
        pixels: as `render_frame` gives them.
        window: what it was rendered with, as a LINEAR one; None for colour. Of a VOI LUT, the window over
            the values that the table tells apart.
        inverted: whether low values are white (MONOCHROME1).
    """

    pixels: Pixels
    window: Window | None
    inverted: bool = False


def render_frame(frame: StoredFrame) -> Pixels:
    """Render one frame so that white means what the modality shows as white.

    Grey, in the standard's order: stored values, Modality LUT (CT: HU), VOI LUT, window or an estimated
    window, MONOCHROME1 inversion; padding is black. Colour: palettes are looked up, YBR becomes RGB.
    Pixels that are not square are resampled. Overlays and ICC profiles are left out.

    Without a usable VOI LUT or window: CT in HU takes `CT_WINDOW_HU`; unsigned values of at most 8 bits
    that no Modality LUT changes are shown as they are; everything else takes the window between the
    `PERCENTILES` of the frame's modality values, padding left out. So does a frame (not of a CT) that
    its own window would leave without any contrast.

    Returns:
        float32 in [0, 1], (rows, columns) for grey and (rows, columns, 3) for colour. A flat frame
        without a window of its own is black.

    Raises:
        Rejected: the palette is malformed, or no pixel has a finite value.

    Source:
        DICOM PS3.3 C.11.1, C.11.2, C.7.6.3.1, C.7.5.1.1.2 (padding); PS3.4 N.2.
    """
    return show_frame(frame).pixels


def show_frame(frame: StoredFrame, window: Window | None = None) -> Shown:
    """Render one frame as `render_frame` does, a grey one through `window` where that is given."""
    with tolerant():
        used, inverted = None, False
        if frame.values.ndim == 3:
            rendered = _colour(frame)
        elif frame.photometric_interpretation == "PALETTE COLOR":
            rendered = palette_of(frame.header, signed=_is_signed(frame)).apply(frame.values)
        else:
            inverted = frame.photometric_interpretation == "MONOCHROME1"
            rendered, used = _grey(frame, window, inverted=inverted)
        pixels = _square(np.ascontiguousarray(rendered, dtype=np.float32), frame)
        return Shown(pixels, used.as_linear() if used else None, inverted)


def is_blank(rendered: Pixels) -> bool:
    """Whether a rendered frame shows nothing: one grey level, or one colour."""
    levels = rendered.reshape(-1, rendered.shape[2]) if rendered.ndim == 3 else rendered.reshape(-1, 1)
    return bool(np.max(levels.max(axis=0) - levels.min(axis=0)) < FLAT)


def to_png(rendered: Pixels, longest_side: int) -> bytes:
    """An 8-bit PNG whose longer side has at most `longest_side` pixels; nothing is enlarged."""
    rows, columns = rendered.shape[:2]
    scale = longest_side / max(rows, columns)
    if scale < 1:
        size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
        rendered = np.asarray(cv2.resize(rendered, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    levels = np.rint(np.clip(rendered, 0, 1) * 255).astype(np.uint8)
    _, png = cv2.imencode(".png", levels[..., ::-1] if levels.ndim == 3 else levels)
    return bytes(png)


def modality_values(frame: StoredFrame) -> Values:
    """Stored values through the Modality LUT or the rescale of this frame (CT: HU).

    A rescale slope of zero is ignored, as every viewer does: it would wipe the picture out.
    """
    group = functional_group(frame.header, frame.frame_index, "PixelValueTransformationSequence")
    exact = np.float32 if frame.bits_stored <= 24 else np.float64
    values: Values = frame.values.astype(exact)
    table = _table(frame, "ModalityLUTSequence")
    if table is not None:
        return table.apply(values)
    slope = number_of(group, "RescaleSlope") or 1.0
    intercept = number_of(group, "RescaleIntercept") or 0.0
    return np.asarray(values * exact(slope) + exact(intercept))


def _grey(frame: StoredFrame, wanted: Window | None, *, inverted: bool) -> tuple[Values, Window]:
    values = modality_values(frame)
    usable = np.isfinite(values)
    padding = _padding(frame)
    if padding is not None and not padding.all():
        usable &= ~padding
    if not usable.any():
        raise Rejected("No pixel has a finite value.", reason="no_finite_pixel")
    values = np.where(np.isfinite(values), values, values[usable].min())
    display, used = _display(values, usable, frame) if wanted is None else (wanted.apply(values), wanted)
    if inverted:
        display = 1 - display
    return np.asarray(np.where(usable, display, 0)), used


def _display(values: Values, usable: NDArray[np.bool_], frame: StoredFrame) -> tuple[Values, Window]:
    """Display values, and the window that stands for how they came about."""
    hounsfield = _is_hounsfield(frame)
    shown = _as_the_header_says(values, frame)
    if shown is not None and (hounsfield or np.ptp(shown[0][usable]) >= FLAT):
        return shown
    if shown is None and hounsfield:
        window = Window(*CT_WINDOW_HU)
    elif shown is None and _is_display_ready(frame):
        most = 2**frame.bits_stored - 1
        return np.asarray(values / most), Window(most / 2, float(most), "LINEAR_EXACT")
    else:
        window = _estimated_window(values[usable])
    return window.apply(values), window


def _as_the_header_says(values: Values, frame: StoredFrame) -> tuple[Values, Window] | None:
    table = _table(frame, "VOILUTSequence")
    if table is not None:
        bits = min(table.bits, max(int(table.entries.max()).bit_length(), 1))
        told_apart = Window(table.first + len(table.entries) / 2, float(len(table.entries)))
        return np.asarray(np.clip(table.apply(values) / (2**bits - 1), 0, 1)), told_apart
    window = window_of(frame)
    return None if window is None else (window.apply(values), window)


def window_of(frame: StoredFrame) -> Window | None:
    """The first window of this frame; None when there is none or its width is not positive."""
    group = functional_group(frame.header, frame.frame_index, "FrameVOILUTSequence")
    centre, width = number_of(group, "WindowCenter"), number_of(group, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    return Window(centre, width, text_of(group, "VOILUTFunction").upper() or "LINEAR")


def _estimated_window(values: Values) -> Window:
    sampled = values[:: max(values.size // _SAMPLED_PIXELS, 1)]
    low, high = (float(bound) for bound in np.percentile(sampled, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return Window(low + 1, 1.0, "LINEAR_EXACT")
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def _is_hounsfield(frame: StoredFrame) -> bool:
    """Whether modality values are HU; a CT whose Modality is missing or misspelt is known by its class."""
    group = functional_group(frame.header, frame.frame_index, "PixelValueTransformationSequence")
    modality = text_of(frame.header, "Modality")
    unknown = not modality.isalnum()
    return (
        (modality == "CT" or (unknown and text_of(frame.header, "SOPClassUID") in _CT_CLASSES))
        and number_of(group, "RescaleIntercept") is not None
        and text_of(group, "RescaleType") in ("", "HU")
    )


def _is_display_ready(frame: StoredFrame) -> bool:
    group = functional_group(frame.header, frame.frame_index, "PixelValueTransformationSequence")
    return (
        frame.values.dtype.kind == "u"
        and frame.bits_stored <= 8
        and _table(frame, "ModalityLUTSequence") is None
        and (number_of(group, "RescaleSlope") or 1.0) == 1.0
        and (number_of(group, "RescaleIntercept") or 0.0) == 0.0
    )


def _table(frame: StoredFrame, keyword: str) -> LookupTable | None:
    sequence = frame.header.get(keyword)
    if not sequence:
        return None
    first: Dataset = sequence[0]
    return lut_of(first, signed=_is_signed(frame))


def _padding(frame: StoredFrame) -> NDArray[np.bool_] | None:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2); None when there is none."""
    value = number_of(frame.header, "PixelPaddingValue")
    if value is None:
        return None
    limit = number_of(frame.header, "PixelPaddingRangeLimit")
    bounds = sorted(_as_stored(bound, frame) for bound in (value, value if limit is None else limit))
    return np.asarray((frame.values >= bounds[0]) & (frame.values <= bounds[1]))


def _as_stored(value: float, frame: StoredFrame) -> float:
    """A value that was written unsigned beside signed pixels, read as the signed one it is."""
    bits = frame.values.dtype.itemsize * 8
    return value - 2**bits if _is_signed(frame) and value >= 2 ** (bits - 1) else value


def _is_signed(frame: StoredFrame) -> bool:
    return frame.values.dtype.kind == "i"


def _colour(frame: StoredFrame) -> Values:
    full = 2**frame.bits_stored - 1 if frame.values.dtype.kind in "ui" else 1
    colour = np.clip(frame.values.astype(np.float32) / np.float32(full), 0, 1)
    return _rgb(colour) if frame.photometric_interpretation.startswith("YBR") else colour


def _rgb(ybr: Values) -> Values:
    """YBR_FULL in [0, 1] as RGB (PS3.3 C.7.6.3.1.2)."""
    y, cb, cr = ybr[..., 0], ybr[..., 1] - 0.5, ybr[..., 2] - 0.5
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.asarray(np.clip(rgb, 0, 1))


def _square(rendered: Pixels, frame: StoredFrame) -> Pixels:
    """Enlarge the side along which the pixels are longer, so that they become square."""
    aspect = pixel_aspect(frame)
    if abs(aspect - 1) <= _ASPECT_TOLERANCE:
        return rendered
    rows, columns = rendered.shape[:2]
    size = (columns, round(rows * aspect)) if aspect > 1 else (round(columns / aspect), rows)
    if size[0] * size[1] > _MAX_RESAMPLED_PIXELS:
        size = (round(columns / aspect), rows) if aspect > 1 else (columns, round(rows * aspect))
    size = (max(size[0], 1), max(size[1], 1))
    return np.asarray(cv2.resize(rendered, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def pixel_aspect(frame: StoredFrame) -> float:
    """Height of a pixel divided by its width; 1 where it is unknown or absurd.

    Source:
        DICOM PS3.3 10.7.1.3 (spacing: between rows first), C.7.6.3.1.7 (Pixel Aspect Ratio).
    """
    measures = functional_group(frame.header, frame.frame_index, "PixelMeasuresSequence")
    for dataset, keyword in (
        (measures, "PixelSpacing"),
        (frame.header, "ImagerPixelSpacing"),
        (frame.header, "NominalScannedPixelSpacing"),
        (frame.header, "PixelAspectRatio"),
    ):
        spacing = numbers_of(dataset, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            aspect = spacing[0] / spacing[1]
            return aspect if 1 / _ASPECT_LIMIT <= aspect <= _ASPECT_LIMIT else 1.0
    return 1.0
