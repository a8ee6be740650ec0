"""Content items in the form that all of ours have: what they may hold, and how an image is referred to."""

from __future__ import annotations

import unicodedata
from typing import Final

import highdicom.sr as hd
from pydicom.sr.coding import Code

from indexer.domain import FrameReference

CONTAINS: Final = hd.RelationshipTypeValues.CONTAINS

_PLAIN: Final = str.maketrans(
    {
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
    }
)

# Of these an instance has one frame, and a reference names none (PS3.3 10.3, Referenced Frame Number).
_SINGLE_FRAME: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{leaf}"
    for leaf in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),
        *("2", "4", "6", "6.1", "7", "128"),
        *("77.1.1", "77.1.2", "77.1.3", "77.1.4"),
    )
)


def image_item(purpose: Code, frame: FrameReference) -> hd.ImageContentItem:
    """One frame, named where its instance has several."""
    return hd.ImageContentItem(
        name=purpose,
        referenced_sop_class_uid=frame.sop_class_uid,
        referenced_sop_instance_uid=frame.sop_instance_uid,
        referenced_frame_numbers=None if frame.sop_class_uid in _SINGLE_FRAME else frame.frame_number,
        relationship_type=CONTAINS,
    )


def printable(text: str) -> str:
    """ASCII on one line: an answer is written in the example's character set, whichever that is.

    Latin letters lose their accents, and what is no Latin letter becomes a question mark.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(bare.encode("ascii", "replace").decode("ascii").split())
