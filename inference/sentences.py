"""The sentences of a radiology report, each with the heading that it stands under, and their language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from inference.words import folded

Language = Literal["en", "fr"]

_BULLET: Final = re.compile(r"^\s*(?:[-*\u2022\u2013\u00b7]+|\(?\d{1,2}[.)])\s+")
# A line, or the beginning of one, of at most six words before a colon.
_HEADING: Final = re.compile(r"^\s*([^\W\d_][^:.;!?\n]{1,60}?)\s*:(?:\s+|$)")
_END: Final = re.compile(r"(?<=[.!?;])\s+(?=[^\s.,;:!?)])")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:[A-Za-z]|dr|pr|mr|mrs|mme|no|fig|vs|cf|env|approx|ca|e\.g|i\.e|p\.ex|resp|st|max|min|diam|inf"
    r"|sup|ant|post|lat|dt|gche|dte|seq|im)\.)$",
    re.IGNORECASE,
)
_ITEM_NUMBER: Final = re.compile(r"(?:^|\s)\(?\d{1,2}\.$")
_MOST_HEADING_WORDS: Final = 6

_COMMON: Final[dict[Language, frozenset[str]]] = {
    "en": frozenset(
        folded(
            "the of and is are was were with without no there this that in at by from to for which has have "
            "right left size seen both not noted within its"
        ).split()
    ),
    "fr": frozenset(
        folded(
            "le la les l un une des du de et est sont avec sans pas au aux ce cette dans sur par pour qui "
            "ont droit droite gauche normale taille vu vue deux ne absence il en son sa ses aucun aucune ni"
        ).split()
    ),
}
_FRENCH_LETTERS: Final = re.compile(
    "[\u00e0\u00e2\u00e7\u00e8\u00e9\u00ea\u00eb\u00ee\u00ef\u00f4\u0153\u00f9\u00fb]", re.IGNORECASE
)
# What is asked or done, not what is seen.
_NOT_DESCRIBING: Final = frozenset(
    folded(name)
    for name in re.split(
        ",",
        "indication, indications, clinical indication, history, clinical history, clinical information, "
        "reason for exam, reason for examination, technique, comparison, procedure, protocol, signed, "
        "electronically signed by, dictated by, motif, motif de l'examen, renseignements cliniques, "
        "antécédents, atcd, contexte, comparaison, protocole, histoire, signature, médecin, prescripteur",
    )
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; `heading` is the nearest heading above or before it, empty without one."""

    text: str
    heading: str = ""

    @property
    def describes(self) -> bool:
        """Whether it tells what is seen: not under "Indication", "Technique", "Antécédents" and the like."""
        return folded(self.heading) not in _NOT_DESCRIBING


def language_of(text: str) -> Language:
    """The language that more of a text's common words and accents are of; English when none is more."""
    words = folded(text).split()
    counts = {language: sum(word in common for word in words) for language, common in _COMMON.items()}
    counts["fr"] += len(_FRENCH_LETTERS.findall(unicodedata.normalize("NFC", text)))
    return "fr" if counts["fr"] > counts["en"] else "en"


def sentences_of(text: str) -> tuple[Sentence, ...]:
    """Cut a report into sentences.

    Lines that were wrapped are joined, list items and headings are told apart, decimals and abbreviations
    end no sentence. A heading holds until the next one, or until a blank line where it began inside a line.
    """
    return tuple(_sentences(text))


def _sentences(text: str) -> Iterator[Sentence]:
    heading, inline = "", False
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        if inline:
            heading, inline = "", False
        for item in _items(block):
            named = _heading_of(item)
            rest = item
            if named is not None:
                heading, rest = named
                inline = bool(rest)
            elif _is_shouted(item):
                heading, rest, inline = item, "", False
            for piece in _pieces(rest):
                yield Sentence(piece, heading)


def _items(block: str) -> Iterator[str]:
    """Lines that belong together: a wrapped line is joined with the one before it."""
    current: list[str] = []
    for line in block.split("\n"):
        stripped = _BULLET.sub("", line).strip()
        begins = bool(_BULLET.match(line)) or _begins(stripped, current)
        if begins and current:
            yield " ".join(current)
            current = []
        if stripped:
            current.append(stripped)
    if current:
        yield " ".join(current)


def _begins(line: str, before: list[str]) -> bool:
    if not line or not before:
        return True
    ended = before[-1].endswith((".", "!", "?", ":", ";")) or _is_shouted(before[-1])
    return ended or _heading_of(line) is not None or line[0].isupper()


def _heading_of(item: str) -> tuple[str, str] | None:
    match = _HEADING.match(item)
    if match is None or len(match[1].split()) > _MOST_HEADING_WORDS:
        return None
    return match[1].strip(), item[match.end() :].strip()


def _is_shouted(line: str) -> bool:
    letters = [letter for letter in line if letter.isalpha()]
    return len(letters) > 3 and line.isupper() and len(line.split()) <= 4 and not line.endswith(".")


def _pieces(text: str) -> Iterator[str]:
    begun = ""
    for piece in _END.split(text):
        begun = f"{begun} {piece}".strip()
        if not _ABBREVIATION.search(begun) and not _ITEM_NUMBER.search(begun):
            yield from _worded(begun)
            begun = ""
    yield from _worded(begun)


def _worded(piece: str) -> Iterator[str]:
    if any(letter.isalpha() for letter in piece):
        yield piece
