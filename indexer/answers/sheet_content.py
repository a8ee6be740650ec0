"""What one contact sheet tells: an answer with its pictures, and how it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from indexer.answers.asked_words import asked_in_words, is_refined
from indexer.answers.chronology import Dates
from indexer.answers.illustrations import Illustrated, Shown
from indexer.answers.sheet_captions import Captions
from indexer.answers.sheet_words import SheetWords, words_in
from indexer.answers.unused_reports import unused_reports_in_words
from indexer.answers.words import Language
from indexer.domain import Answer
from indexer.search.question import Question, RegionOfInterest

MOST_MATCHES: Final = 10
LONGEST_TEXT: Final = 200
"""Characters of a text that are quoted."""


@dataclass(frozen=True, slots=True)
class SheetContent:
    """Everything that is drawn.

    Attributes:
        answer: its matches, or why there are none.
        illustrated: their pictures.
        language: of the words.
        dates: how dates are told.
        question: what was asked in the end; None where nothing could be.
        about: when the example was acquired.
        note: a sentence on what was asked about; empty for none.
    """

    answer: Answer
    illustrated: Illustrated
    language: Language
    dates: Dates
    question: Question | None = None
    about: date | None = None
    note: str = ""

    @property
    def words(self) -> SheetWords:
        """Those of the language."""
        return words_in(self.language)

    @property
    def captions(self) -> Captions:
        """What stands below the pictures."""
        return Captions(self.answer, self.illustrated, self.language, self.dates, self.about)

    def asked(self, longest_text: int) -> tuple[str, ...]:
        """How it was asked, in phrases; of a longer text only so many characters are quoted."""
        return asked_in_words(
            self.question,
            self.answer,
            language=self.language,
            longest_text=longest_text,
        )

    @property
    def unused_reports(self) -> str:
        """Why reports that were sent were left out, in a sentence; empty where none were."""
        return unused_reports_in_words(self.question, self.answer, self.language)

    @property
    def matches(self) -> tuple[Shown, ...]:
        """The cases that are drawn."""
        return self.illustrated.matches[:MOST_MATCHES]

    @property
    def region(self) -> RegionOfInterest | None:
        """The part of the example that was asked about."""
        return self.question.region if self.question is not None else None

    @property
    def is_refined(self) -> bool:
        """Whether words or chosen cases decide on the ranks, so that all cases stand together."""
        return is_refined(self.question, self.answer)

    @property
    def is_without_example(self) -> bool:
        """Whether it was asked with words, or with chosen cases, alone."""
        return self.question is not None and self.question.example is None
