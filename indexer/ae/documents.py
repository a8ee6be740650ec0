"""The documents that say what was found: a contact sheet, a report."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from pydicom.dataset import Dataset

from indexer.ae.timing import Split
from indexer.answers.echo import tell_who_answers
from indexer.answers.example import Example
from indexer.answers.illustrations import Illustrated
from indexer.answers.sheet import contact_sheet
from indexer.answers.sheet_layout import SheetStyle
from indexer.answers.sr import References, similar_cases_report
from indexer.answers.unused_marks import UnusedMark
from indexer.domain import Answer
from indexer.search import Question

logger = logging.getLogger(__name__)

Form = Literal["sheet", "report"]
FORMS: Final[tuple[Form, ...]] = ("sheet", "report")


@dataclass(frozen=True, slots=True)
class Said:
    """Everything that the documents of one question are made of.

    `called` is our AE title, empty for the first; `question` is None where none was asked.
    """

    example: Example
    found: Answer
    illustrated: Illustrated
    question_id: str
    created: datetime
    called: str
    question: Question | None = None
    unused_mark: UnusedMark | None = None


@dataclass(frozen=True, slots=True)
class Documents:
    """Which documents answer a question, and how they are written.

    Attributes:
        forms: which, in which order; at least one.
        references: as in `similar_cases_report`.
        retrieve_ae_title: as there.
        style: of the sheet.
    """

    forms: tuple[Form, ...] = FORMS
    references: References = "dicom"
    retrieve_ae_title: str = ""
    style: SheetStyle = field(default_factory=SheetStyle)

    def of(self, said: Said, split: Split) -> tuple[Dataset, ...]:
        """Each form; one that fails is no reason to send nothing."""
        documents: list[Dataset] = []
        failed: Exception | None = None
        for form in self.forms:
            try:
                with split.part(form):
                    documents.append(self._sheet(said) if form == "sheet" else self._report(said))
            except Exception as error:  # noqa: BLE001 - the edge; its text may quote the example
                failed = error
                logger.error(  # noqa: TRY400
                    "answer_form_failed question=%s form=%s error=%s\n%s",
                    said.question_id,
                    form,
                    type(error).__name__,
                    "".join(traceback.format_tb(error.__traceback__)),
                )
        if failed is not None and not documents:
            raise failed
        tell_who_answers(documents, said.called)
        return tuple(documents)

    def _sheet(self, said: Said) -> Dataset:
        return contact_sheet(
            said.example,
            said.found,
            said.illustrated,
            question_id=said.question_id,
            created=said.created,
            style=self.style,
            question=said.question,
            unused_mark=said.unused_mark,
        )

    def _report(self, said: Said) -> Dataset:
        return similar_cases_report(
            said.example,
            said.found,
            question_id=said.question_id,
            created=said.created,
            references=self.references,
            retrieve_ae_title=self.retrieve_ae_title,
            sizes=said.illustrated.sizes(),
            question=said.question,
            unused_mark=said.unused_mark,
        )
