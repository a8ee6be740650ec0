"""Looks for words in bytes, however they may have been written down."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

BLANK_BYTES = 256
"""Files that are made large beforehand are mostly zeros: those say nothing."""


def traces(content: bytes, words: Iterable[str]) -> Iterator[str]:
    """The words that stand in the bytes: in any case, in UTF-8 or UTF-16, as base64 or hexadecimal."""
    content = content.replace(bytes(BLANK_BYTES), b"")
    lowered = content.lower()
    for word in words:
        texts = (word.lower().encode(), *(word.lower().encode(f"utf-16-{e}") for e in ("le", "be")))
        if (
            any(text in lowered or text.hex().encode() in lowered for text in texts)
            or any(form in lowered for form in _hexadecimal(word))
            or any(form in content for form in _base64(word))
        ):
            yield word


def traces_in_files(roots: Iterable[Path], words: Iterable[str]) -> list[str]:
    """`word in path` for every trace in the names and contents of everything below the roots."""
    wanted, found = list(words), []
    for path in files_below(roots):
        found += [f"{word} in the name {path}" for word in traces(str(path).encode(), wanted)]
        found += [f"{word} in {path}" for word in traces(path.read_bytes(), wanted)]
    return found


def files_below(roots: Iterable[Path]) -> list[Path]:
    """Every regular file."""
    return [
        path
        for root in roots
        for path in ([root] if root.is_file() else sorted(root.rglob("*")))
        if path.is_file()
    ]


def _hexadecimal(word: str) -> list[bytes]:
    return [text.encode().hex().encode() for text in (word, word.upper(), word.lower(), word.title())]


def _base64(word: str) -> Iterator[bytes]:
    """At each of the three alignments, without the characters that its neighbours have a part in."""
    for text in (word, word.upper(), word.lower()):
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + text.encode())
            whole = (before + len(text.encode())) * 8 // 6
            yield encoded[-(-before * 8 // 6) : whole]
