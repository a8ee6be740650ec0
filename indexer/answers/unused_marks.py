"""Why a mark that was sent along is not what is asked about, in sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from indexer.answers.words import Language

UnusedMark = Literal["not_sent", "unreadable", "not_found", "region_not_seen", "rejected"]
"""It lies on no image that was sent; is no shape that is read; lies on an image or a frame that is not
compared; lies where the encoder does not look; cannot be looked at for another reason."""

_WORDS: Final[Mapping[Language, Mapping[UnusedMark, str]]] = {
    "en": {
        "not_sent": "A mark was not used: it lies on an image that was not sent.",
        "unreadable": "A mark was not used: its shape or its place cannot be read.",
        "not_found": "A mark was not used: it lies on an image or a frame that is not compared.",
        "region_not_seen": "A mark was not used: it lies where the encoder does not look.",
        "rejected": "A mark was not used: what it lies on cannot be looked at alone.",
    },
    "fr": {
        "not_sent": "Une marque n'a pas servi : elle est sur une image qui n'a pas été envoyée.",
        "unreadable": "Une marque n'a pas servi : sa forme ou sa place est illisible.",
        "not_found": "Une marque n'a pas servi : elle est sur une image qui n'est pas comparée.",
        "region_not_seen": "Une marque n'a pas servi : elle est là où l'encodeur ne regarde pas.",
        "rejected": "Une marque n'a pas servi : ce qu'elle désigne ne peut pas être regardé seul.",
    },
}


def unused_mark_in_words(why: UnusedMark, language: Language = "en") -> str:
    """One sentence."""
    return _WORDS[language][why]
