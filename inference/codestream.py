"""What an encoded frame says of itself, before a codec believes it."""

from __future__ import annotations

import struct
from typing import Final

END_OF_IMAGE: Final = b"\xff\xd9"
_TAIL_BYTES: Final = 64
_JPEG_START: Final = b"\xff\xd8"
_JPEG2000_START: Final = b"\xff\x4f\xff\x51"
_SIZE_MARKERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xDA)})


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
    return _jpeg_size(frame)


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _SIZE_MARKERS:
            rows, columns = struct.unpack(">2H", frame[at + 5 : at + 9])
            return rows, columns
        else:
            at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    return None
