"""The organs and findings that a text speaks of, by a small lexicon in English and French."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, cast, get_args

from evaluation.errors import BenchmarkError
from evaluation.negation import Negations, is_absent, is_denied, is_planned_or_partial
from inference.sentences import Language, language_of, sentences_of
from inference.words import Word, folded, words_of

Kind = Literal["organ", "finding", "removal"]
LEXICON_PATH: Final = Path(__file__).with_name("lexicon.csv")
_COLUMNS: Final = ("concept", "kind", "region", "language", "terms")
_PREFIX_LETTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept that a sentence names.

    `present` is False for a finding that is denied ("no cyst"), and for an organ that is not there or not
    seen ("status post cholecystectomy", "vésicule non vue"). `first` and `end` are places of words.
    """

    concept: str
    kind: Kind
    present: bool
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class _Term:
    """Words as they must follow one another; one that ends in `*` stands for every ending."""

    concept: str
    kind: Kind
    words: tuple[str, ...]
    abbreviation: bool

    def stands_at(self, words: tuple[Word, ...], place: int) -> bool:
        given = words[place : place + len(self.words)]
        if len(given) < len(self.words):
            return False
        if self.abbreviation:
            return tuple(word.written for word in given) == self.words
        return all(_agrees(word.folded, term) for word, term in zip(given, self.words, strict=True))


class Lexicon:
    """Terms of concepts in English and French.

    Accents and case do not count, plurals in s and x are known; a term in capitals is an abbreviation and
    counts in capitals only; the longest term at a place wins.
    """

    def __init__(self, rows: Iterable[dict[str, str]]) -> None:
        """Take rows with the columns concept, kind, region, language (en, fr or empty: both) and terms.

        Terms are parted by `|`. Kinds are organ, finding and removal: an operation that takes the organ
        `concept` out.

        Raises:
            BenchmarkError: a row has no concept, kind, language or terms that can be used.
        """
        self.regions: dict[str, str] = {}
        self._terms: dict[Language, dict[str, list[_Term]]] = {
            language: {} for language in get_args(Language)
        }
        for number, row in enumerate(rows, start=2):
            self._add(row, number)

    @classmethod
    def read(cls, path: Path = LEXICON_PATH) -> Lexicon:
        """Read a CSV file. Raises BenchmarkError."""
        try:
            with path.open(newline="", encoding="utf-8") as file:
                table = csv.DictReader(file)
                missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
                if missing:
                    raise BenchmarkError(f"The lexicon {path} lacks the columns {', '.join(missing)}.")
                return cls(table)
        except OSError as error:
            raise BenchmarkError(f"The lexicon {path} cannot be read: {error.strerror}.") from error

    @property
    def organs(self) -> tuple[str, ...]:
        """The organs that are known, sorted."""
        return tuple(sorted(self.regions))

    def mentions(self, sentence: str, language: Language | None = None) -> tuple[Mention, ...]:
        """The concepts that one sentence names, in its order.

        Args:
            sentence: see `inference.sentences.sentences_of`.
            language: None finds out by the sentence alone, which errs on short ones.
        """
        spoken = language or language_of(sentence)
        words = words_of(sentence)
        denials = Negations.of(words)
        found = list(self._found(words, spoken))
        findings = [(place, place + len(term.words)) for place, term in found if term.kind == "finding"]
        mentions: list[Mention] = []
        for place, term in found:
            end = place + len(term.words)
            if term.kind == "removal":
                if is_denied(denials, place, end):
                    continue
                present = is_planned_or_partial(words, place, end)
                mentions.append(Mention(term.concept, "removal", present, place, end))
            elif term.kind == "organ":
                absent = is_absent(words, place, end, findings)
                mentions.append(Mention(term.concept, "organ", not absent, place, end))
            else:
                mentions.append(
                    Mention(term.concept, "finding", not is_denied(denials, place, end), place, end)
                )
        return tuple(mentions)

    def organs_of(self, sentence: str, language: Language | None = None) -> frozenset[str]:
        """The organs that a sentence speaks of, without those that it says are not there or not seen.

        "No focal lesion of the liver" speaks of the liver; "status post cholecystectomy" does not speak of
        a gallbladder that an image could show.
        """
        mentions = [m for m in self.mentions(sentence, language) if m.kind != "finding"]
        absent = {m.concept for m in mentions if m.kind == "removal" and not m.present}
        seen = {m.concept for m in mentions if m.kind == "organ" and m.present}
        kept = {m.concept for m in mentions if m.kind == "removal" and m.present}
        return frozenset((seen - absent) | kept)

    def concepts_of(self, text: str) -> frozenset[str]:
        """The concepts that a text affirms: `organ:liver`, `finding:cyst`; what is denied is left out."""
        language = language_of(text)
        concepts: set[str] = set()
        for sentence in sentences_of(text):
            concepts |= {f"organ:{organ}" for organ in self.organs_of(sentence.text, language)}
            concepts |= {
                f"finding:{mention.concept}"
                for mention in self.mentions(sentence.text, language)
                if mention.kind == "finding" and mention.present
            }
        return frozenset(concepts)

    def _found(self, words: tuple[Word, ...], language: Language) -> Iterator[tuple[int, _Term]]:
        """Each place's longest term of each kind; a word belongs to one organ, and may to a finding too."""
        taken = {"organ": 0, "finding": 0}
        terms = self._terms[language]
        for place in range(len(words)):
            candidates = [
                term
                for key in _keys(words[place])
                for term in terms.get(key, ())
                if term.stands_at(words, place)
            ]
            for family in ("organ", "finding"):
                own = [term for term in candidates if (term.kind == "finding") == (family == "finding")]
                if not own or place < taken[family]:
                    continue
                longest = max(own, key=lambda term: (len(term.words), term.kind == "removal"))
                taken[family] = place + len(longest.words)
                yield place, longest

    def _add(self, row: dict[str, str], number: int) -> None:
        concept, kind, language = row["concept"].strip(), row["kind"].strip(), row["language"].strip()
        spellings = [term.strip() for term in row["terms"].split("|") if term.strip()]
        known = get_args(Language)
        if not concept or kind not in get_args(Kind) or language not in ("", *known) or not spellings:
            raise BenchmarkError(f"Line {number} of the lexicon has no concept, kind, language or terms.")
        if kind == "organ":
            self.regions.setdefault(concept, row["region"].strip())
        languages = [cast("Language", language)] if language else known
        for spelling in spellings:
            term = _term(concept, cast("Kind", kind), spelling)
            first = term.words[0]
            key = first if term.abbreviation else first.rstrip("*")[:_PREFIX_LETTERS]
            for spoken in languages:
                self._terms[spoken].setdefault(key, []).append(term)


@cache
def default_lexicon() -> Lexicon:
    """The lexicon of this package."""
    return Lexicon.read()


def concepts_of(text: str) -> frozenset[str]:
    """The concepts that a text affirms, by this package's lexicon: `organ:liver`, `finding:cyst`."""
    return default_lexicon().concepts_of(text)


def _term(concept: str, kind: Kind, spelling: str) -> _Term:
    if spelling.isupper():
        return _Term(concept, kind, tuple(spelling.split()), abbreviation=True)
    return _Term(concept, kind, tuple(folded(spelling).split()), abbreviation=False)


def _keys(word: Word) -> tuple[str, ...]:
    return tuple(dict.fromkeys((word.written, *(word.folded[:n] for n in range(2, _PREFIX_LETTERS + 1)))))


def _agrees(given: str, term: str) -> bool:
    if term.endswith("*"):
        return given.startswith(term[:-1])
    return given == term or (given in (f"{term}s", f"{term}x", f"{term}es") and len(term) > 2)
