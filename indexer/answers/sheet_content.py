"""What one contact sheet tells: an answer with its pictures, and how it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from indexer.answers.chronology import Dates
from indexer.answers.illustrations import Illustrated, Shown
from indexer.answers.sheet_captions import Captions
from indexer.answers.sheet_words import SheetWords, words_in
from indexer.answers.words import Language
from indexer.domain import Answer
from indexer.search.question import Question, RegionOfInterest

MOST_MATCHES: Final = 10


@dataclass(frozen=True, slots=True)
class SheetContent:
    """Everything that is drawn.

    Attributes:
        answer: its matches, or why there are none.
        illustrated: their pictures.
        language: of the words.
        dates: how dates are told.
        question: what was asked in the end; None where nothing could be.
        asked: how, in phrases; none of a plain question.
        note: a sentence on what was asked about; empty for none.
    """

    answer: Answer
    illustrated: Illustrated
    language: Language
    dates: Dates
    question: Question | None = None
    asked: tuple[str, ...] = ()
    note: str = ""

    @property
    def words(self) -> SheetWords:
        """Those of the language."""
        return words_in(self.language)

    @property
    def captions(self) -> Captions:
        """What stands below the pictures."""
        return Captions(self.answer, self.illustrated, self.language, self.dates)

    @property
    def matches(self) -> tuple[Shown, ...]:
        """The cases that are drawn."""
        return self.illustrated.matches[:MOST_MATCHES]

    @property
    def region(self) -> RegionOfInterest | None:
        """The part of the example that was asked about."""
        return self.question.region if self.question is not None else None

    @property
    def is_without_example(self) -> bool:
        """Whether it was asked with words, or with chosen cases, alone."""
        return self.question is not None and self.question.example is None
