"""The words of a question: its text, and what the reports tell that come with it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from indexer.errors import NotConfigured, Rejected
from indexer.ports import Encoder, TextEmbedding
from indexer.search.clues import Clue, clue_of_text
from indexer.search.question import Question

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What is asked with in words.

    `of_reports` is None where there are no reports, or none that can be used: `unused_reports` is why, one
    word in snake case.
    """

    of_text: TextEmbedding | None = None
    of_reports: TextEmbedding | None = None
    unused_reports: str = ""

    def clues(self) -> list[Clue]:
        """A clue for the text, and one for all the reports."""
        return [clue_of_text(one) for one in (self.of_text, self.of_reports) if one is not None]

    @property
    def read(self) -> int:
        """How many reports are asked with."""
        return 0 if self.of_reports is None else self.of_reports.reports

    @property
    def studies(self) -> tuple[str, ...]:
        """The Study Instance UIDs of the reports: no match comes from there."""
        return () if self.of_reports is None else self.of_reports.studies

    @property
    def patients(self) -> tuple[str, ...]:
        """The keyed hashes of their patients: no match is one of theirs."""
        return () if self.of_reports is None else self.of_reports.patients


def words_of(question: Question, encoder: Encoder) -> Words:
    """Embed the words of a question.

    Reports that tell nothing, a region that was drawn, or measurements, are left out where there is anything
    else to ask with.

    Raises:
        NotConfigured: no encoder reads text.
        Rejected: the text has no word that is known, or the reports are all that is asked with and tell
            nothing.
        Unavailable: the encoder did not answer.
    """
    text = encoder.embed_text(question.text) if question.text.strip() else None
    if not question.reports:
        return Words(text)
    try:
        return Words(text, encoder.embed_reports(question.reports))
    except NotConfigured:
        raise
    except Rejected as error:
        if question.example is None and not question.more and text is None:
            raise
        logger.info("reports_not_used reports=%d reason=%s", len(question.reports), error.reason)
        return Words(text, unused_reports=error.reason)
