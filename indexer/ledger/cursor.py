"""Cursors: where a listing goes on, as a text that callers hand back without reading it."""

from __future__ import annotations

import base64
import binascii
import json

from indexer.errors import Rejected

MAX_LIMIT = 1000


def to_cursor(listing: str, *keys: str) -> str:
    """The place after the row with these keys, in the listing of this name."""
    text = json.dumps([listing, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(listing: str, cursor: str, count: int) -> list[str]:
    """The keys of a cursor of this listing. Raises Rejected for any other text."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeError, ValueError, RecursionError) as error:
        raise _bad_cursor() from error
    if not isinstance(parts, list) or len(parts) != count + 1 or parts[0] != listing:
        raise _bad_cursor()
    keys = parts[1:]
    if not all(isinstance(key, str) and "\0" not in key for key in keys):
        raise _bad_cursor()
    return keys


def checked_limit(limit: int) -> int:
    """The limit, when it is one that a page can have. Raises Rejected."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Rejected(f"limit is {limit}; it must be between 1 and {MAX_LIMIT}.")
    return limit


def _bad_cursor() -> Rejected:
    return Rejected(
        "The cursor is not one that this listing gave: start again without one.", reason="bad_cursor"
    )
