"""The life of a question that was sent: gathered, asked when its study is quiet, answered, forgotten."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from indexer.ae.answering import Answering, Reply
from indexer.ae.patience import OpenQuestion, Patience
from indexer.ae.preset import Preset
from indexer.ae.pushing import CasesOnTheirWay
from indexer.ae.spool import Spool, SpooledQuestion
from indexer.answers.example import ExampleInstance
from indexer.collecting import Keeping
from indexer.destinations import Destination
from indexer.errors import Rejected, Unavailable

logger = logging.getLogger(__name__)

Deliver = Callable[[Destination, Sequence[Path]], None]
Took = Callable[[str, float], object]
"""Told each step of an answer and how long it took, in seconds."""

ASKERS: Final = 2
DELIVERERS: Final = 4
PUSHERS: Final = 2
MAX_BROKEN: Final = 6
MAX_BEGUN: Final = 3


class Questions:
    """Everything between the acknowledgement of an instance and the delivery of its answer."""

    def __init__(
        self,
        *,
        spool: Spool,
        answering: Answering,
        deliver: Deliver,
        callers: Sequence[Destination],
        presets: Sequence[Preset] = (),
        patience: Patience | None = None,
        keeping: Keeping | None = None,
        took: Took = lambda _step, _took_s: None,
    ) -> None:
        """Take the spool, how to answer, how to deliver (raises Unavailable), and where answers are kept.

        `presets` are of the AE titles that ask in a way of their own; any other asks as `Preset` does.
        `took` is told how long each step of an answer took: those of the line `question_answered`, and
        deliver.
        """
        self._spool = spool
        self._answering = answering
        self._deliver = deliver
        self._callers = tuple(callers)
        self._presets = {preset.ae_title: preset for preset in presets}
        self._patience = patience or Patience()
        self._keeping = keeping
        self._took = took
        self._open: dict[str, OpenQuestion] = {}
        self._beginning: set[tuple[str, str, str]] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._askers: ThreadPoolExecutor | None = None
        self._deliverers: ThreadPoolExecutor | None = None
        self._pushers: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Take up what an earlier process left, and begin to ask."""
        now = time.monotonic()
        for question in self._spool.load():
            logger.info("question_taken_up question=%s state=%s", question.question_id, question.state)
            self._open[question.question_id] = OpenQuestion(question, first_at=now, last_at=now)
        self._stopping = False
        self._askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="asking")
        self._deliverers = ThreadPoolExecutor(DELIVERERS, thread_name_prefix="delivering")
        self._pushers = ThreadPoolExecutor(PUSHERS, thread_name_prefix="pushing")
        thread = threading.Thread(target=self._run, name="questions", daemon=True)
        self._threads = [thread]
        thread.start()

    def stop(self) -> None:
        """End what is under way; the rest stays in the spool for the next start.

        Cases that are being pushed are called off after the instance that is on its way.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for pool in (self._askers, self._deliverers, self._pushers):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self._open.clear()

    def __len__(self) -> int:
        """How many questions are not forgotten yet."""
        with self._changed:
            return len(self._open)

    def receive(
        self,
        association: Hashable,
        caller: Destination,
        instance: ExampleInstance,
        content: bytes,
        called: str = "",
    ) -> None:
        """Keep one instance; on return it survives a crash until its question is answered or refused.

        Args:
            association: who holds the question open, until `let_go`.
            caller: who asks.
            instance: what the DICOM file says of itself.
            content: the DICOM file as it came.
            called: our AE title that the caller called; empty for the first.

        Raises:
            SpoolFull: there is no room; nothing was kept.
        """
        opened = self._gathering(association, caller, instance.study_instance_uid, called)
        try:
            self._spool.add_instance(opened.question, instance.sop_instance_uid, content)
        finally:
            with self._changed:
                opened.writing -= 1
                opened.saw(instance)
                opened.last_at = time.monotonic()
                self._changed.notify_all()

    def let_go(self, association: Hashable) -> None:
        """The association ended, in whatever way."""
        with self._changed:
            for opened in self._open.values():
                opened.holders.discard(association)
            self._changed.notify_all()

    def _gathering(
        self, association: Hashable, caller: Destination, study_instance_uid: str, called: str
    ) -> OpenQuestion:
        """The question that takes another instance, which the caller of this now writes.

        It is neither being asked nor answered. A new one is made without the lock: a slow disk holds up
        only those who wait for the same question.
        """
        key = caller.ae_title, study_instance_uid, called
        with self._changed:
            while True:
                opened = next((opened for opened in self._open.values() if opened.takes(key)), None)
                if opened is not None:
                    opened.holders.add(association)
                    opened.writing += 1
                    return opened
                if key not in self._beginning:
                    break
                self._changed.wait()
            self._beginning.add(key)
        try:
            return self._begin(association, caller, study_instance_uid, called)
        finally:
            with self._changed:
                self._beginning.discard(key)
                self._changed.notify_all()

    def _begin(
        self, association: Hashable, caller: Destination, study_instance_uid: str, called: str
    ) -> OpenQuestion:
        question = self._spool.create(caller.ae_title, str(caller), study_instance_uid, time.time(), called)
        logger.info(
            "question_received question=%s caller=%s called=%s study=%s",
            question.question_id,
            question.caller,
            called or "first",
            study_instance_uid,
        )
        now = time.monotonic()
        opened = OpenQuestion(question, first_at=now, last_at=now, holders={association}, writing=1)
        with self._changed:
            self._open[question.question_id] = opened
        return opened

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                for opened in self._due():
                    self._submit(opened)
                self._changed.wait(timeout=min(0.25, self._patience.quiet_s / 4) if self._open else None)

    def _due(self) -> list[OpenQuestion]:
        """Oldest first; never the same study of a caller twice at once, nor one caller's answers or cases."""
        now = time.monotonic()
        self._leave_to_the_last()
        asking = {opened.topic for opened in self._open.values() if opened.busy and opened.waits}
        delivering, pushing = (
            {
                opened.question.caller
                for opened in self._open.values()
                if opened.busy and not opened.waits and opened.pushes is pushes
            }
            for pushes in (False, True)
        )
        due = []
        for opened in self._open.values():
            if opened.busy or now < opened.not_before:
                continue
            if opened.waits:
                ready = opened.is_gathered(now, self._patience) and not self._waits_for_others(opened)
                if ready and opened.topic not in asking and len(asking) < ASKERS:
                    asking.add(opened.topic)
                    due.append(opened)
                continue
            served, most = (pushing, PUSHERS) if opened.pushes else (delivering, DELIVERERS)
            if opened.question.caller not in served and len(served) < most:
                served.add(opened.question.caller)
                due.append(opened)
        return due

    def _leave_to_the_last(self) -> None:
        """Of flags about one example the question that came last is asked: it heeds those of the others."""
        last: dict[tuple[str, str, str], OpenQuestion] = {}
        for opened in self._open.values():
            if opened.about and opened.waits and not opened.busy:
                before = last.get(opened.topic)
                if before is not None:
                    before.ended = "noted"
                last[opened.topic] = opened

    def _waits_for_others(self, opened: OpenQuestion) -> bool:
        """Whether more flags of this caller may be about the same example, and are not noted yet."""
        same = (opened.question.caller, opened.question.called)
        return bool(opened.about) and any(
            other.is_unread and (other.question.caller, other.question.called) == same
            for other in self._open.values()
        )

    def _submit(self, opened: OpenQuestion) -> None:
        pool = self._askers if opened.waits else self._pushers if opened.pushes else self._deliverers
        if pool is not None:
            opened.busy = True
            pool.submit(self._step, opened, self._attempt(opened))

    def _attempt(self, opened: OpenQuestion) -> Callable[[OpenQuestion], None]:
        """What comes next; an answer that was delivered is never delivered again by this process."""
        if opened.ended:
            return self._remove
        if opened.pushes:
            return self._push
        if opened.is_unread:
            return self._note_flags
        return self._ask if opened.waits else self._send

    def _step(self, opened: OpenQuestion, attempt: Callable[[OpenQuestion], None]) -> None:
        """One attempt. The broad excepts are the edge: no question may stop the others."""
        try:
            try:
                attempt(opened)
            except Unavailable as error:
                self._again(opened, error)
        except Exception as error:  # noqa: BLE001
            self._broken(opened, error)
        finally:
            with self._changed:
                opened.busy = False
                self._changed.notify_all()

    def _note_flags(self, opened: OpenQuestion) -> None:
        """Of several key objects that were sent together each is a study, and so a question, of its own."""
        question = opened.question
        try:
            about = self._answering.noted(self._spool.instances(question), question.caller)
        except Rejected:
            about = None
        with self._changed:
            opened.about = about or ""

    def _ask(self, opened: OpenQuestion) -> None:
        question = opened.question
        paths = self._spool.instances(question)
        if not paths:
            self._forget(opened, "empty")
            return
        if question.begun >= MAX_BEGUN:
            self._refuse(opened, Rejected("The service failed on this question.", reason="gave_up"))
            return
        waited_ms = opened.waited_ms(time.monotonic())
        self._save(opened, begun=question.begun + 1)
        try:
            preset = self._preset_of(question)
            reply = self._answering.answer(paths, question.caller, question.question_id, preset)
        except Unavailable:
            self._save(opened, begun=0)
            raise
        except Rejected as refusal:
            self._forget(opened, refusal.reason)
            return
        if isinstance(reply, str):
            self._forget(opened, reply)
        else:
            self._answered(opened, reply, waited_ms)

    def _send(self, opened: OpenQuestion) -> None:
        self._deliver_answer(opened, self._destination(opened.question))
        if self._keeping is None or not self._keeping.pushes:
            self._forget(opened, "delivered")
        else:
            self._delivered(opened)

    def _delivered(self, opened: OpenQuestion) -> None:
        """Its cases are next, as a step of their own: they may be gigabytes."""
        with self._changed:
            opened.question = replace(opened.question, state="pushing")
            opened.tries, opened.not_before = 0, 0.0
        self._note(opened)

    def _push(self, opened: OpenQuestion) -> None:
        question = opened.question
        if self._keeping is not None:
            self._keeping.push(
                question.question_id,
                self._destination(question),
                done=question.pushed,
                watch=CasesOnTheirWay(lambda: self._stopping, partial(self._pushed, opened)),
            )
        self._forget(opened, "delivered")

    def _pushed(self, opened: OpenQuestion, study_instance_uid: str) -> None:
        opened.question = replace(opened.question, pushed=(*opened.question.pushed, study_instance_uid))
        self._note(opened)

    def _deliver_answer(self, opened: OpenQuestion, destination: Destination) -> None:
        question, started = opened.question, time.monotonic()
        answers = self._spool.answers(question)
        self._deliver(destination, answers)
        took_s = time.monotonic() - started
        self._took("deliver", took_s)
        logger.info(
            "answer_delivered question=%s destination=%s documents=%d deliver_ms=%.0f",
            question.question_id,
            destination,
            len(answers),
            took_s * 1000,
        )

    def _again(self, opened: OpenQuestion, error: Unavailable) -> None:
        """Later, or, after `give_up_s`, not at all: the asker is told where that is possible."""
        question = opened.question
        if time.time() - (question.answered_at or question.received_at) <= self._patience.give_up_s:
            delay_s = self._postpone(opened)
            logger.warning(
                "question_postponed question=%s state=%s delay_s=%.0f reason=%s",
                question.question_id,
                question.state,
                delay_s,
                error,
            )
        elif opened.waits:
            self._refuse(opened, Rejected(str(error), reason=error.reason))
        elif opened.pushes:
            logger.error("cases_dropped question=%s reason=%s", question.question_id, error)
            self._forget(opened, "cases_dropped")
        else:
            logger.error("answer_dropped question=%s reason=%s", question.question_id, error)
            self._forget(opened, "undeliverable")

    def _refuse(self, opened: OpenQuestion, refusal: Rejected) -> None:
        question = opened.question
        logger.warning("question_refused question=%s reason=%s", question.question_id, refusal.reason)
        paths = self._spool.instances(question)
        reply = self._answering.refuse(paths, refusal, question.question_id, self._preset_of(question))
        self._answered(opened, reply, {})

    def _preset_of(self, question: SpooledQuestion) -> Preset:
        """As it is configured now; a title that is no longer ours asks plainly."""
        return self._presets.get(question.called, Preset(question.called))

    def _answered(self, opened: OpenQuestion, reply: Reply, waited_ms: Mapping[str, float]) -> None:
        self._keep(opened.question, reply)
        started = time.monotonic()
        answered = self._spool.put_answers(
            replace(opened.question, state="answered", begun=0, answered_at=time.time()),
            [_encoded(document) for document in reply.documents],
        )
        split_ms = {**waited_ms, **reply.split_ms, "store": (time.monotonic() - started) * 1000}
        logger.info(
            "question_answered question=%s caller=%s documents=%d %s",
            answered.question_id,
            answered.caller,
            answered.answers,
            " ".join(f"{part}_ms={round(took_ms)}" for part, took_ms in split_ms.items()),
        )
        for step, took_ms in split_ms.items():
            self._took(step, took_ms / 1000)
        with self._changed:
            opened.question, opened.tries, opened.not_before = answered, 0, 0.0
            opened.holders.clear()

    def _keep(self, question: SpooledQuestion, reply: Reply) -> None:
        if self._keeping is not None:
            self._keeping.keep(
                reply.found,
                question_id=question.question_id,
                caller=question.caller,
                asked_at=datetime.fromtimestamp(question.received_at, UTC),
                study_instance_uid=reply.study_instance_uid,
            )

    def _destination(self, question: SpooledQuestion) -> Destination:
        """The caller as it is configured now; its address may have changed since it asked.

        Raises:
            Unavailable: it is not configured any more.
        """
        known = [caller for caller in self._callers if caller.ae_title == question.caller]
        exact = [caller for caller in known if str(caller) == question.destination]
        if not known:
            raise Unavailable(f"{question.caller} is no longer among CBIR_CALLERS.")
        return (exact + known)[0]

    def _broken(self, opened: OpenQuestion, error: Exception) -> None:
        """A fault of ours. Its text may quote the example, so only its kind and place are logged."""
        opened.broken += 1
        logger.error(
            "question_broken question=%s error=%s times=%d\n%s",
            opened.question.question_id,
            type(error).__name__,
            opened.broken,
            "".join(traceback.format_tb(error.__traceback__)),
        )
        self._postpone(opened)
        if opened.broken >= MAX_BROKEN and not opened.ended:
            with self._changed:
                opened.ended = "lost"

    def _postpone(self, opened: OpenQuestion) -> float:
        with self._changed:
            opened.tries += 1
            delay_s = self._patience.delay_s(opened.tries)
            opened.not_before = time.monotonic() + delay_s
        return delay_s

    def _note(self, opened: OpenQuestion) -> None:
        """Write down what was sent; while the disk refuses, this process knows it all the same."""
        try:
            self._spool.save(opened.question)
        except Unavailable as error:
            logger.warning("question_not_saved question=%s reason=%s", opened.question.question_id, error)

    def _save(self, opened: OpenQuestion, **changes: int) -> None:
        question = replace(opened.question, **changes)  # type: ignore[arg-type]
        self._spool.save(question)
        opened.question = question

    def _forget(self, opened: OpenQuestion, reason: str) -> None:
        with self._changed:
            opened.ended, opened.tries = reason, 0
        self._remove(opened)

    def _remove(self, opened: OpenQuestion) -> None:
        """Take what is over from the disk, now or later: it holds patient data, so it is not left there."""
        question = opened.question
        try:
            self._spool.remove(question)
        except Unavailable as error:
            delay_s = self._postpone(opened)
            logger.warning(
                "question_not_removed question=%s delay_s=%.0f reason=%s",
                question.question_id,
                delay_s,
                error,
            )
            return
        logger.info("question_forgotten question=%s reason=%s", question.question_id, opened.ended)
        with self._changed:
            self._open.pop(question.question_id, None)


def _encoded(document: Dataset) -> bytes:
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
