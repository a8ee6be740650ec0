"""What an encoded frame says of itself, before a codec believes it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

END_OF_IMAGE: Final = b"\xff\xd9"
_TAIL_BYTES: Final = 64
_JPEG_START: Final = b"\xff\xd8"
_JPEG2000_START: Final = b"\xff\x4f\xff\x51"
_SIZE_MARKERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xDA)})
_START_OF_SCAN: Final = 0xDA
_JFIF: Final = 0xE0
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_WHOLE_BLOCK: Final = b"\x00\x3f\x00"


def is_complete(frame: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 frame has its end marker (FFD9, padding allowed).

    Entropy-coded data never holds the marker, so its absence means that the frame was cut short. What
    does not begin like one of the three is left to the codecs.

    Source:
        ITU-T T.81 B.1.1.3 (EOI), T.87 C.2.1, T.800 A.4.4 (EOC).
    """
    begins = frame[:2] == _JPEG_START or frame[:4] == _JPEG2000_START
    return not begins or END_OF_IMAGE in frame[-_TAIL_BYTES:]


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) that the frame claims, in pixels; None when it does not say or is not JPEG.

    Source:
        ITU-T T.81 B.2.2 (frame header), T.87 C.2.2, T.800 A.5.1 (SIZ).
    """
    if frame[:4] == _JPEG2000_START and len(frame) >= 24:
        right, bottom, left, top = struct.unpack(">4L", frame[8:24])
        return max(bottom - top, 0), max(right - left, 0)
    if frame[:2] != _JPEG_START:
        return None
    for marker, at in _segments(frame):
        if marker in _SIZE_MARKERS and at + 9 <= len(frame):
            rows, columns = struct.unpack(">2H", frame[at + 5 : at + 9])
            return rows, columns
    return None


def holds_ybr(frame: bytes) -> bool:
    """Whether three samples of a JPEG frame are YCbCr, whatever the data set calls them.

    They are where the frame is JFIF, which knows nothing else, or where the samples differ in their
    sampling factors: nobody subsamples red, green or blue. Some toolkits write such frames as RGB.

    Source:
        ITU-T T.81 B.2.2 (sampling factors), T.871 6.1 (JFIF).
    """
    if frame[:2] != _JPEG_START:
        return False
    for marker, at in _segments(frame):
        if marker == _JFIF and frame[at + 4 : at + 8] == b"JFIF":
            return True
        if marker in _SIZE_MARKERS:
            samples = frame[at + 9 : at + 10]
            factors = {frame[at + 11 + 3 * n : at + 12 + 3 * n] for n in range(3)}
            return samples == b"\3" and len(factors) > 1
    return False


def with_whole_blocks(frame: bytes) -> bytes | None:
    """A sequential JPEG frame whose scan says that it leaves coefficients out, put right; else None.

    A sequential scan always holds the whole block, 0 to 63, and some writers forget to say so. Decoders
    refuse such frames.

    Source:
        ITU-T T.81 B.2.3 (Ss, Se, Ah and Al of a sequential scan).
    """
    if frame[:2] != _JPEG_START:
        return None
    sequential = False
    for marker, at in _segments(frame):
        sequential |= marker in _SEQUENTIAL
        if marker == _START_OF_SCAN and sequential and at + 4 < len(frame):
            selection = at + 5 + 2 * frame[at + 4]
            if frame[selection : selection + 3] != _WHOLE_BLOCK:
                return frame[:selection] + _WHOLE_BLOCK + frame[selection + 3 :]
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """The marker segments up to the first scan: marker, and where its FF is."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            yield marker, at
            if marker == _START_OF_SCAN:
                return
            at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
