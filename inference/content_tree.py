"""The text of a Structured Report: the TEXT items of its content tree, under their containers' names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from indexer.errors import Rejected
from inference.reading import text_of

MAX_ITEMS: Final = 20_000
_MAX_DEPTH: Final = 32
_ABOUT_THE_REPORT: Final = ("HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS CONCEPT MOD")


def content_text(root: Dataset) -> str:
    """What a report says, a blank line between two items, `Heading:` before those of another section.

    Left out is what is said of the report itself: who observed, with what device, what a lesion is tracked
    by.

    Raises:
        Rejected: the tree has more than 20,000 items, or is deeper than 32.

    Source:
        DICOM PS3.3 C.17.3 (SR Document Content Module), C.18.1 (Text Macro), C.18.8 (Container Macro),
        PS3.16 TID 1001 (Observation Context).
    """
    return "\n\n".join(_text_items(root))


def _text_items(root: Dataset) -> Iterator[str]:
    waiting: list[tuple[Dataset, int, str]] = [(root, 0, "")]
    heading, seen = "", 0
    while waiting:
        item, depth, name = waiting.pop()
        seen += 1
        if seen > MAX_ITEMS or depth > _MAX_DEPTH:
            raise Rejected("The content tree is too large.", reason="unreadable_report")
        kind, own = text_of(item, "ValueType"), _concept_name(item)
        if depth and text_of(item, "RelationshipType") in _ABOUT_THE_REPORT:
            continue
        if kind == "TEXT":
            section = name or own
            if section != heading and section:
                yield f"{section}:"
            heading = section
            yield str(item.get("TextValue") or "")
        below = own if kind == "CONTAINER" and depth else name
        children = item.get("ContentSequence") or []
        waiting += [(child, depth + 1, below) for child in reversed(list(children))]


def _concept_name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or []
    return text_of(names[0], "CodeMeaning").replace(":", " ") if len(names) else ""
