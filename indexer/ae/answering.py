"""A question that was sent becomes the documents that answer it: similar cases, or why there are none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from pydicom.dataset import Dataset

from indexer.ae.documents import Documents, Said
from indexer.ae.preset import Chosen, Preset
from indexer.ae.sent import Sent
from indexer.ae.timing import Split
from indexer.answers.echo import is_echo
from indexer.answers.example import Example, read_example
from indexer.answers.illustrations import Illustrated, Illustrations, without_pictures
from indexer.answers.key_objects import NO_CASE_FLAGGED, flagged_in
from indexer.answers.marks import Marks, marks_of
from indexer.answers.unused_marks import UnusedMark
from indexer.collecting.choosing import Choosing
from indexer.domain import Answer, Refusal, SeriesReference
from indexer.errors import NotFound, Rejected, Unsupported
from indexer.ports import Caller
from indexer.search import Question
from indexer.search.question import ExampleReference, RegionOfInterest

logger = logging.getLogger(__name__)

NoReply = Literal["echo", "noted"]
"""Why nothing is sent: our own answer came back; flags were noted for the next question about the example."""

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

    `found` is what they say, `study_instance_uid` names the example's study, and `split_ms` tells how long
    each part of the answering took. `is_question` is false where nothing to ask with was sent.
    """

    documents: tuple[Dataset, ...]
    found: Answer
    study_instance_uid: str
    split_ms: Mapping[str, float] = field(default_factory=dict)
    is_question: bool = True


@dataclass(frozen=True, slots=True)
class Answering:
    """How questions are answered.

    Attributes:
        searcher: finds the cases.
        limit: the number of matches.
        documents: what is written.
        illustrations: where pictures come from; None draws sheets without.
        choosing: heeds the cases that a caller flagged; None does not.
        now: local time, for the documents' dates.
    """

    searcher: Searcher
    limit: int = 10
    documents: Documents = field(default_factory=Documents)
    illustrations: Illustrations | None = None
    choosing: Choosing | None = None
    now: Callable[[], datetime] = datetime.now

    def answer(
        self,
        paths: Sequence[Path],
        caller: str,
        question_id: str,
        preset: Preset,
        received_at: datetime | None = None,
    ) -> Reply | NoReply:
        """Ask, and write down the matches or the refusal.

        Args:
            paths: DICOM files of one study.
            caller: the calling AE title.
            question_id: the UIDs of the documents are derived from it.
            preset: of the AE title that was called.
            received_at: when they came; now, where nothing is said.

        Returns:
            A contact sheet, a Comprehensive SR, or both; or why nothing is sent.

        Raises:
            Unavailable: a neighbour did not answer: ask again later.
            Rejected: the files cannot even be read, so that no document can be filed.
        """
        split = Split()
        with split.part("read"):
            sent = Sent.read(paths, preset)
            since = self._last_flagged_at(sent, caller)
            if is_echo(sent.example, paths, self.now(), preset.ae_title, since):
                return "echo"
            about = self._flagged(sent.example, paths, caller, received_at)
        if self.choosing is None or about is None or sent.is_example:
            return self._answered(sent, caller, question_id, split)
        with ExitStack() as recalling:
            try:
                recalled = recalling.enter_context(self.choosing.recalled(Caller(name=caller), about))
            except NotFound:
                return "noted"
            return self._answered(Sent.read(recalled, preset), caller, question_id, split)

    def refuse(
        self, paths: Sequence[Path], refusal: Rejected, question_id: str, preset: Preset | None = None
    ) -> Reply:
        """Write down why there is no answer, without looking at any frame: that may be what went wrong."""
        preset = preset or Preset("")
        sent, found = Sent.read(paths, preset), _refused(refusal)
        question: Question | None = None
        with suppress(Rejected):
            question = self._question(sent, None, Chosen())
        pictures = without_pictures(sent.example, found)
        said = Said(sent.example, found, pictures, question_id, self.now(), preset.ae_title, question)
        documents = self.documents.of(said, Split())
        return Reply(documents, found, sent.study_instance_uid, is_question=sent.is_example)

    def noted(self, paths: Sequence[Path], caller: str, received_at: datetime | None = None) -> str | None:
        """Note the flags among these files, which came then, and ask nothing.

        Returns:
            The Study Instance UID of the example that they are about; None where no case was flagged.

        Raises:
            Unavailable: a neighbour did not answer: note them later.
            Rejected: the files cannot even be read.
        """
        return self._flagged(read_example(paths), paths, caller, received_at)

    def _last_flagged_at(self, sent: Sent, caller: str) -> datetime | None:
        """Local time; what was answered before is no answer to what is asked now."""
        if self.choosing is None or not any(one.is_own_answer for one in sent.example.instances):
            return None
        flagged_at = self.choosing.last_flagged_at(caller, sent.study_instance_uid)
        return None if flagged_at is None else flagged_at.astimezone().replace(tzinfo=None)

    def _flagged(
        self, example: Example, paths: Sequence[Path], caller: str, received_at: datetime | None
    ) -> str | None:
        flagged = flagged_in(example, paths) if self.choosing is not None else ()
        if self.choosing is None or not flagged:
            return None
        filed_in = example.instances[0].study_instance_uid
        return self.choosing.note(caller, flagged, filed_in, received_at)

    def _answered(self, sent: Sent, caller: str, question_id: str, split: Split) -> Reply:
        with split.part("read"):
            marks = marks_of(sent.example, sent.paths)
            chosen = self._chosen(sent, caller)
        asked = self._found(sent, marks, chosen, caller, split)
        if asked.question is not None and (asked.question.more or asked.question.less):
            heeded = question_id, len(asked.question.more), len(asked.question.less)
            logger.info("question_refined question=%s more=%d less=%d", *heeded)
        if asked.unused_mark is not None:
            logger.info("mark_not_used question=%s reason=%s", question_id, asked.unused_mark)
        with split.part("pictures"):
            illustrated = self._illustrated(sent.example, sent.paths, asked.found)
        said = Said(
            sent.example,
            asked.found,
            illustrated,
            question_id,
            self.now(),
            called=sent.preset.ae_title,
            question=asked.question,
            unused_mark=asked.unused_mark,
        )
        return Reply(
            self.documents.of(said, split),
            asked.found,
            sent.study_instance_uid,
            split.took_ms,
            is_question=sent.is_example,
        )

    def _chosen(self, sent: Sent, caller: str) -> Chosen:
        if self.choosing is None:
            return Chosen()
        return Chosen(*self.choosing.chosen(caller, sent.study_instance_uid))

    def _found(self, sent: Sent, marks: Marks, chosen: Chosen, caller: str, split: Split) -> _Asked:
        """By the first mark that can be used, else by all that was sent; and why a mark was not used."""
        unused, gone = marks.unused, set[tuple[str, int]]()
        for region in marks.regions[:MOST_TRIED]:
            frame = region.sop_instance_uid, region.frame_number
            if frame in gone:
                continue
            try:
                question = self._question(sent, region, chosen)
                return _Asked.of(question, self._search(question, caller, split), unused)
            except Rejected as refusal:
                unused = _OF_A_MARK.get(refusal.reason, "rejected")
            if unused == "rejected":
                break
            if unused == "not_found":
                gone.add(frame)
        whole: Question | None = None
        try:
            whole = self._question(sent, None, chosen)
            return _Asked.of(whole, self._search(whole, caller, split), unused)
        except Rejected as refusal:
            return _Asked(_refused(refusal), whole, unused)

    def _question(self, sent: Sent, region: RegionOfInterest | None, chosen: Chosen) -> Question:
        if not sent.is_example:
            raise self._nothing_to_ask_with(sent)
        return sent.preset.question(
            images=sent.images,
            reports=sent.reports,
            typed=sent.typed,
            limit=self.limit,
            region=region,
            chosen=chosen,
        )

    def _nothing_to_ask_with(self, sent: Sent) -> Unsupported:
        if self.choosing is not None and sent.is_selections:
            return Unsupported(NO_CASE_FLAGGED, reason="no_case_flagged")
        return Unsupported("Only reports, key objects or presentation states were sent: send images.")

    def _search(self, question: Question, caller: str, split: Split) -> Answer:
        with split.part("search"):
            found = self.searcher.similar(question, Caller(name=caller))
        split.part_of("search", "embed", found.embed_ms)
        return found

    def _illustrated(self, example: Example, paths: Sequence[Path], found: Answer) -> Illustrated:
        if self.illustrations is None:
            return without_pictures(example, found)
        return self.illustrations.of(example, paths, found)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked in the end, or None, what was found, and why a mark was not used."""

    found: Answer
    question: Question | None
    unused_mark: UnusedMark | None

    @classmethod
    def of(cls, question: Question, found: Answer, unused_mark: UnusedMark | None) -> _Asked:
        """The question with those of its chosen cases that were compared."""
        more = tuple(one for one in question.more if _is_among(found.more, one))
        less = tuple(one for one in question.less if _is_among(found.less, one))
        return cls(found, replace(question, more=more, less=less), unused_mark)


def _is_among(compared: Sequence[SeriesReference], flagged: ExampleReference) -> bool:
    return any(one.series_instance_uid == flagged.series_instance_uid for one in compared)


def _refused(error: Rejected) -> Answer:
    return Answer(
        example=(), encoder=None, matches=(), took_ms=0.0, refused=Refusal(error.reason, str(error))
    )
