"""A question that was sent becomes the documents that answer it: similar cases, or why there are none."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from pydicom.dataset import Dataset

from indexer.answers.echo import is_echo
from indexer.answers.example import Example, read_example
from indexer.answers.illustrations import Illustrated, Illustrations, without_pictures
from indexer.answers.marks import Marks, marks_of
from indexer.answers.sheet import contact_sheet
from indexer.answers.sheet_layout import SheetStyle
from indexer.answers.sr import References, similar_cases_report
from indexer.answers.unused_marks import UnusedMark
from indexer.domain import Answer, Refusal
from indexer.errors import Rejected, Unsupported
from indexer.ports import Caller
from indexer.search import Question
from indexer.search.question import RegionOfInterest

logger = logging.getLogger(__name__)

Form = Literal["sheet", "report"]
FORMS: Final[tuple[Form, ...]] = ("sheet", "report")
MOST_TRIED: Final = 3
"""Marks that are asked about in turn, as long as they cannot be used: each costs a whole question."""
_OF_A_MARK: Final[Mapping[str, UnusedMark]] = {"not_found": "not_found", "region_not_seen": "region_not_seen"}
"""Reasons that are the mark's own fault, and not that of all that was sent."""


class Searcher(Protocol):
    """What the AE needs of `Search`."""

    def similar(self, question: Question, caller: Caller) -> Answer:
        """Raises Rejected or Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """The documents that answer one question, in the order in which they are sent.

    `found` is what they say, `split_ms` how long each part of the answering took.
    """

    documents: tuple[Dataset, ...]
    found: Answer
    split_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answering:
    """How questions are answered.

    Attributes:
        searcher: finds the cases.
        limit: the number of matches.
        references: as in `similar_cases_report`.
        retrieve_ae_title: as there.
        forms: which documents, in which order; at least one.
        illustrations: where pictures come from; None draws sheets without.
        style: of the sheet.
        now: local time, for the documents' dates.
    """

    searcher: Searcher
    limit: int = 10
    references: References = "dicom"
    retrieve_ae_title: str = ""
    forms: tuple[Form, ...] = FORMS
    illustrations: Illustrations | None = None
    style: SheetStyle = field(default_factory=SheetStyle)
    now: Callable[[], datetime] = datetime.now

    def answer(self, paths: Sequence[Path], caller: str, question_id: str) -> Reply | None:
        """Ask, and write down the matches or the refusal.

        Args:
            paths: DICOM files of one study.
            caller: the calling AE title.
            question_id: the UIDs of the documents are derived from it.

        Returns:
            A contact sheet, a Comprehensive SR, or both; None when our own answer came back, alone or with
            what it answers.

        Raises:
            Unavailable: a neighbour did not answer: ask again later.
            Rejected: the files cannot even be read, so that no document can be filed.
        """
        split = _Split()
        with split.part("read"):
            example = read_example(paths)
            if is_echo(example, paths, self.now()):
                return None
            marks = marks_of(example, paths)
        found, region, unused_mark = self._found(example, paths, marks, caller, split)
        if unused_mark is not None:
            logger.info("mark_not_used question=%s reason=%s", question_id, unused_mark)
        with split.part("pictures"):
            illustrated = self._illustrated(example, paths, found)
        said = _Said(example, found, illustrated, question_id, self.now(), region, unused_mark)
        return Reply(self._documents(said, split), found, split.took_ms)

    def refuse(self, paths: Sequence[Path], refusal: Rejected, question_id: str) -> Reply:
        """Write down why there is no answer, without looking at any frame: that may be what went wrong."""
        example, found = read_example(paths), _refused(refusal)
        said = _Said(example, found, without_pictures(example, found), question_id, self.now())
        return Reply(self._documents(said, _Split()), found)

    def _found(
        self, example: Example, paths: Sequence[Path], marks: Marks, caller: str, split: _Split
    ) -> tuple[Answer, RegionOfInterest | None, UnusedMark | None]:
        """By the first mark that can be used, else by all that was sent; and why a mark was not used."""
        unused, gone = marks.unused, set[tuple[str, int]]()
        for region in marks.regions[:MOST_TRIED]:
            frame = region.sop_instance_uid, region.frame_number
            if frame in gone:
                continue
            try:
                return self._search(example, paths, region, caller, split), region, unused
            except Rejected as refusal:
                unused = _OF_A_MARK.get(refusal.reason, "rejected")
            if unused == "rejected":
                break
            if unused == "not_found":
                gone.add(frame)
        try:
            return self._search(example, paths, None, caller, split), None, unused
        except Rejected as refusal:
            return _refused(refusal), None, unused

    def _search(
        self,
        example: Example,
        paths: Sequence[Path],
        region: RegionOfInterest | None,
        caller: str,
        split: _Split,
    ) -> Answer:
        images = tuple(
            path for path, instance in zip(paths, example.instances, strict=True) if instance.is_image
        )
        if not images:
            raise Unsupported("Only reports, key objects or presentation states were sent: send images.")
        question = Question(example=images, limit=self.limit, same_patient=True, region=region)
        with split.part("search"):
            found = self.searcher.similar(question, Caller(name=caller))
        split.part_of("search", "embed", found.embed_ms)
        return found

    def _illustrated(self, example: Example, paths: Sequence[Path], found: Answer) -> Illustrated:
        if self.illustrations is None:
            return without_pictures(example, found)
        return self.illustrations.of(example, paths, found)

    def _documents(self, said: _Said, split: _Split) -> tuple[Dataset, ...]:
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
        return tuple(documents)

    def _sheet(self, said: _Said) -> Dataset:
        return contact_sheet(
            said.example,
            said.found,
            said.illustrated,
            question_id=said.question_id,
            created=said.created,
            style=self.style,
            region=said.region,
            unused_mark=said.unused_mark,
        )

    def _report(self, said: _Said) -> Dataset:
        return similar_cases_report(
            said.example,
            said.found,
            question_id=said.question_id,
            created=said.created,
            references=self.references,
            retrieve_ae_title=self.retrieve_ae_title,
            sizes=said.illustrated.sizes(),
            region=said.region,
            unused_mark=said.unused_mark,
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """Everything that the documents of one question are made of."""

    example: Example
    found: Answer
    illustrated: Illustrated
    question_id: str
    created: datetime
    region: RegionOfInterest | None = None
    unused_mark: UnusedMark | None = None


def _refused(error: Rejected) -> Answer:
    return Answer(
        example=(), encoder=None, matches=(), took_ms=0.0, refused=Refusal(error.reason, str(error))
    )


class _Split:
    """How long each part of the answering took."""

    def __init__(self) -> None:
        self.took_ms: dict[str, float] = {}

    def part_of(self, whole: str, name: str, took_ms: float) -> None:
        """Tell a first part of a part from its rest."""
        rest = self.took_ms.pop(whole) - took_ms
        self.took_ms |= {name: took_ms, whole: rest}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            self.took_ms[name] = self.took_ms.get(name, 0.0) + took_ms
