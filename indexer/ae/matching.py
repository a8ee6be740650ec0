"""Attribute matching of a C-FIND: whether a value is one that a key asks for.

Source: DICOM PS3.4 C.2.2.2. Sequences are never matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_WITH_WILDCARDS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_WITH_RANGES: Final = frozenset({"DA", "TM"})
_EARLIEST: Final = {"DA": "00000000", "TM": "000000.000000"}
_LATEST: Final = {"DA": "99999999", "TM": "235959.999999"}


def is_universal(keys: Sequence[str]) -> bool:
    """Whether a key asks for nothing: it is empty, or only asterisks (C.2.2.2.3)."""
    return all(not key.strip("* ") for key in keys)


def matches(vr: str, keys: Sequence[str], values: Sequence[str]) -> bool:
    """Whether one of the values is one that one of the keys asks for.

    A list of UIDs matches each of them (C.2.2.2.2); so do several values of another key. A name is
    compared without case (C.2.2.2.1).

    Args:
        vr: of the attribute.
        keys: what is asked for, value by value.
        values: what a case has; an empty one matches a universal key only.
    """
    if is_universal(keys):
        return True
    wanted = [key.strip() for key in keys if key.strip()]
    return any(_is_wanted(vr, key, value.strip()) for key in wanted for value in values if value.strip())


def _is_wanted(vr: str, key: str, value: str) -> bool:
    if vr in _WITH_RANGES:
        return _is_within(vr, key, value)
    if vr in ("IS", "DS", "US", "UL", "SS", "SL"):
        return _number(key) == _number(value)
    if vr == "PN":
        return any(_is_alike(_name(key), _name(group)) for group in (value, *value.split("=")))
    if vr in _WITH_WILDCARDS:
        return _is_alike(key, value)
    return key == value


def _is_within(vr: str, key: str, value: str) -> bool:
    """A date or time, a part of one, or a range of them, open at either end (C.2.2.2.1, C.2.2.2.5)."""
    earliest, hyphen, latest = (_plain(vr, part) for part in key.partition("-"))
    if not hyphen:
        latest = earliest
    given = _plain(vr, value)
    low, high = _padded(earliest, _EARLIEST[vr]), _padded(latest, _LATEST[vr])
    return low <= _padded(given, _EARLIEST[vr]) <= high


def _plain(vr: str, text: str) -> str:
    """Without the punctuation of older versions of the standard."""
    return text.strip().replace("." if vr == "DA" else ":", "")


def _padded(text: str, pattern: str) -> str:
    return text + pattern[len(text) :]


def _name(text: str) -> str:
    """Without case and without the carets and spaces that stand for nothing."""
    return "^".join(part.strip() for part in text.casefold().split("^")).rstrip("^")


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _is_alike(key: str, value: str) -> bool:
    """`*` is any text, `?` one character (C.2.2.2.4); never more steps than both lengths multiplied."""
    at, star, resumed = 0, -1, 0
    position = 0
    while position < len(value):
        if at < len(key) and key[at] == "*":
            star, resumed = at, position
            at += 1
        elif at < len(key) and key[at] in ("?", value[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            resumed += 1
            at, position = star + 1, resumed
        else:
            return False
    return not key[at:].strip("*")
