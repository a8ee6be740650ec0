"""A question that was sent becomes the document that answers it: similar cases, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from indexer.answers.echo import is_echo
from indexer.answers.example import Example, read_example
from indexer.answers.sr import References, refusal_report, similar_cases_report
from indexer.domain import Answer
from indexer.errors import Rejected, Unsupported
from indexer.ports import Caller
from indexer.search import Question


class Searcher(Protocol):
    """What the AE needs of `Search`."""

    def similar(self, question: Question, caller: Caller) -> Answer:
        """Raises Rejected or Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Answering:
    """How questions are answered; `now` gives local time for the document's dates.

    `limit` is the number of matches; `references` and `retrieve_ae_title` are as in
    `similar_cases_report`.
    """

    searcher: Searcher
    limit: int = 10
    references: References = "dicom"
    retrieve_ae_title: str = ""
    now: Callable[[], datetime] = datetime.now

    def answer(self, paths: Sequence[Path], caller: str, question_id: str) -> Dataset | None:
        """Ask, and write down the matches or the refusal.

        Args:
            paths: DICOM files of one study.
            caller: the calling AE title.
            question_id: the UIDs of the document are derived from it.

        Returns:
            A Comprehensive SR; None when our own answer came back, alone or with what it answers.

        Raises:
            Unavailable: a neighbour did not answer: ask again later.
            Rejected: the files cannot even be read, so that no document can be filed.
        """
        example = read_example(paths)
        if is_echo(example, paths, self.now()):
            return None
        try:
            found = self._search(example, paths, caller)
        except Rejected as refusal:
            return self.refuse(paths, refusal, question_id)
        return similar_cases_report(
            example,
            found,
            question_id=question_id,
            created=self.now(),
            references=self.references,
            retrieve_ae_title=self.retrieve_ae_title,
        )

    def refuse(self, paths: Sequence[Path], refusal: Rejected, question_id: str) -> Dataset:
        """Write down why there is no answer."""
        return refusal_report(
            read_example(paths),
            reason=refusal.reason,
            message=str(refusal),
            question_id=question_id,
            created=self.now(),
        )

    def _search(self, example: Example, paths: Sequence[Path], caller: str) -> Answer:
        images = tuple(
            path for path, instance in zip(paths, example.instances, strict=True) if not instance.is_report
        )
        if not images:
            raise Unsupported("Only reports, key objects or presentation states were sent: send images.")
        return self.searcher.similar(Question(example=images, limit=self.limit), Caller(name=caller))
