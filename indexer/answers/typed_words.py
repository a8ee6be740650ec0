"""Words that were typed on a workstation: the description of a key object selection of the images sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from indexer.answers.documents import content_items
from indexer.answers.example import ExampleInstance
from indexer.answers.key_objects import Step, each_selection, images_named, title_of
from indexer.search.question import MAX_TEXT

KEY_OBJECT_DESCRIPTION: Final = "113012"
REJECTING: Final = frozenset(("113001", "113010", "113037", "113038", "113039"))
"""Rejected for Quality or Patient Safety Reasons, Quality Issue, wrong worklist entry, retention expired."""


def typed_words(together: Sequence[tuple[Path, ExampleInstance]]) -> str:
    """What was typed about the images that came along, the oldest first; empty where nothing was.

    A selection that names none of these images is about something else; what is said of images that are
    rejected tells why they are, and not what to look for.

    Args:
        together: the files that were sent, with what each is.

    Returns:
        At most `MAX_TEXT` characters on one line; of more, the beginning.

    Source:
        DICOM PS3.3 A.35.4, PS3.16 TID 2010 (Key Object Description) and CID 7010.
    """
    sent = frozenset(one.sop_instance_uid for _, one in together if one.is_image)
    typed = each_selection(together, partial(_typed, sent=sent))
    lines = (" ".join("".join(one if one.isprintable() else " " for one in text).split()) for text in typed)
    return "; ".join(dict.fromkeys(line for line in lines if line))[:MAX_TEXT].rstrip()


def _typed(selection: Dataset, step: Step, sent: frozenset[str]) -> Iterator[str]:
    """The descriptions of a selection of images that were sent."""
    if title_of(selection) in REJECTING or sent.isdisjoint(images_named(selection, step)):
        return
    for item in content_items(selection, step):
        if item.get("ValueType") == "TEXT" and _is_description(item):
            yield str(item.get("TextValue") or "")


def _is_description(item: Dataset) -> bool:
    return any(
        (str(name.get("CodeValue")).strip(), str(name.get("CodingSchemeDesignator")).strip())
        == (KEY_OBJECT_DESCRIPTION, "DCM")
        for name in item.get("ConceptNameCodeSequence", [])[:1]
    )
