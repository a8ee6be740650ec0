"""Which window a PNG was rendered with, written into the PNG: whoever shows it can go on from there."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from inference.rendering import Shown

_AFTER_IHDR: Final = 33
"""Bytes of the signature and of IHDR, the first chunk, whose length is fixed."""


def texts_of(shown: Shown) -> dict[str, str]:
    """WindowCenter, WindowWidth and PhotometricInterpretation of a grey frame; nothing for colour."""
    if shown.window is None:
        return {}
    return {
        "WindowCenter": f"{shown.window.centre:.6g}",
        "WindowWidth": f"{shown.window.width:.6g}",
        "PhotometricInterpretation": "MONOCHROME1" if shown.inverted else "MONOCHROME2",
    }


def labelled(png: bytes, texts: Mapping[str, str]) -> bytes:
    """A PNG with textual data, keyword by keyword.

    Source:
        Portable Network Graphics (PNG) Specification, W3C, 11.3.3.2 (tEXt).
    """
    chunks = b"".join(_text_chunk(keyword, text) for keyword, text in texts.items())
    return png[:_AFTER_IHDR] + chunks + png[_AFTER_IHDR:]


def _text_chunk(keyword: str, text: str) -> bytes:
    content = b"tEXt" + keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
