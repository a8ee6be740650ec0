"""The words of a sentence, as written and without accents and case."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+|[,;:.()/]")
_LIGATURES: Final = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a punctuation mark; hyphens and apostrophes only part words."""

    written: str
    folded: str


def words_of(sentence: str) -> tuple[Word, ...]:
    """The words and marks of a sentence, in order."""
    written = _WORD.findall(unicodedata.normalize("NFC", sentence).translate(_LIGATURES))
    return tuple(Word(word, _plain(word)) for word in written)


def folded(text: str) -> str:
    """The words of a text, without accents, in lower case, a blank between them; `*` is kept."""
    return " ".join(_plain(word) for word in re.findall(r"[^\W_]+\*?", text.translate(_LIGATURES)))


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
