"""The steps of a question: asked or refused, its answer delivered, its cases pushed; and what goes wrong."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from indexer.ae.answering import Answering, Reply
from indexer.ae.patience import OpenQuestion
from indexer.ae.preset import Preset
from indexer.ae.pushing import CasesOnTheirWay
from indexer.ae.register import Register
from indexer.ae.spool import SpooledQuestion
from indexer.collecting import Keeping
from indexer.destinations import Destination
from indexer.errors import Rejected, Unavailable

logger = logging.getLogger(__name__)

Deliver = Callable[[Destination, Sequence[Path]], None]
Took = Callable[[str, float], object]
"""Told each step of an answer and how long it took, in seconds."""
Step = Callable[[OpenQuestion], None]

MAX_BROKEN: Final = 6
MAX_BEGUN: Final = 3


class Steps:
    """What is done with a question whose turn it is."""

    def __init__(
        self,
        register: Register,
        *,
        answering: Answering,
        deliver: Deliver,
        callers: Sequence[Destination],
        presets: Sequence[Preset],
        keeping: Keeping | None,
        took: Took,
        is_stopping: Callable[[], bool],
    ) -> None:
        """Take the register and, as `Questions` has them, who answers, delivers, keeps and is told."""
        self._register = register
        self._answering = answering
        self._deliver = deliver
        self._callers = tuple(callers)
        self._presets = {preset.ae_title: preset for preset in presets}
        self._keeping = keeping
        self._took = took
        self._is_stopping = is_stopping

    def next(self, opened: OpenQuestion) -> Step:
        """What comes next; an answer that was delivered is never delivered again by this process."""
        if opened.ended:
            return self._register.remove
        if opened.pushes:
            return self._push
        if opened.is_unread:
            return self._note_flags
        return self._ask if opened.waits else self._send

    def take(self, opened: OpenQuestion, attempt: Step) -> None:
        """One attempt. The broad excepts are the edge: no question may stop the others."""
        try:
            try:
                attempt(opened)
            except Unavailable as error:
                self._again(opened, error)
        except Exception as error:  # noqa: BLE001
            self._broken(opened, error)
        finally:
            with self._register.changed:
                opened.busy = False
                self._register.changed.notify_all()

    def _note_flags(self, opened: OpenQuestion) -> None:
        """Of several key objects that were sent together each is a study, and so a question, of its own.

        A fault is left to the asking, which counts its attempts and tells the sender in the end.
        """
        question = opened.question
        about: str | None = ""
        try:
            with suppress(Rejected):
                paths = self._register.spool.instances(question)
                about = self._answering.noted(paths, question.caller, _received(question)) or ""
        except Unavailable:
            about = None
            raise
        finally:
            with self._register.changed:
                opened.about = about

    def _ask(self, opened: OpenQuestion) -> None:
        question = opened.question
        paths = self._register.spool.instances(question)
        if not paths:
            self._register.forget(opened, "empty")
            return
        if question.begun >= MAX_BEGUN:
            self._refuse(opened, Rejected("The service failed on this question.", reason="gave_up"))
            return
        waited_ms = opened.waited_ms(time.monotonic())
        self._register.save(opened, begun=question.begun + 1)
        try:
            preset = self._preset_of(question)
            reply = self._answering.answer(
                paths, question.caller, question.question_id, preset, _received(question)
            )
        except Unavailable:
            self._register.save(opened, begun=0)
            raise
        except Rejected as refusal:
            self._register.forget(opened, refusal.reason)
            return
        if isinstance(reply, str):
            self._register.forget(opened, reply)
        else:
            self._answered(opened, reply, waited_ms)

    def _send(self, opened: OpenQuestion) -> None:
        self._deliver_answer(opened, self._destination(opened.question))
        if self._keeping is None or not self._keeping.pushes:
            self._register.forget(opened, "delivered")
        else:
            self._delivered(opened)

    def _delivered(self, opened: OpenQuestion) -> None:
        """Its cases are next, as a step of their own: they may be gigabytes."""
        with self._register.changed:
            opened.question = replace(opened.question, state="pushing")
            opened.tries, opened.not_before = 0, 0.0
        self._register.note(opened)

    def _push(self, opened: OpenQuestion) -> None:
        question = opened.question
        if self._keeping is not None:
            self._keeping.push(
                question.question_id,
                self._destination(question),
                done=question.pushed,
                watch=CasesOnTheirWay(self._is_stopping, partial(self._pushed, opened)),
            )
        self._register.forget(opened, "delivered")

    def _pushed(self, opened: OpenQuestion, study_instance_uid: str) -> None:
        opened.question = replace(opened.question, pushed=(*opened.question.pushed, study_instance_uid))
        self._register.note(opened)

    def _deliver_answer(self, opened: OpenQuestion, destination: Destination) -> None:
        question, started = opened.question, time.monotonic()
        answers = self._register.spool.answers(question)
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
        if time.time() - (question.answered_at or question.received_at) <= self._register.patience.give_up_s:
            delay_s = self._register.postpone(opened)
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
            self._register.forget(opened, "cases_dropped")
        else:
            logger.error("answer_dropped question=%s reason=%s", question.question_id, error)
            self._register.forget(opened, "undeliverable")

    def _refuse(self, opened: OpenQuestion, refusal: Rejected) -> None:
        question = opened.question
        logger.warning("question_refused question=%s reason=%s", question.question_id, refusal.reason)
        paths = self._register.spool.instances(question)
        reply = self._answering.refuse(paths, refusal, question.question_id, self._preset_of(question))
        self._answered(opened, reply, {})

    def _preset_of(self, question: SpooledQuestion) -> Preset:
        """As it is configured now; a title that is no longer ours asks plainly."""
        return self._presets.get(question.called, Preset(question.called))

    def _answered(self, opened: OpenQuestion, reply: Reply, waited_ms: Mapping[str, float]) -> None:
        self._keep(opened.question, reply)
        started = time.monotonic()
        answered = self._register.spool.put_answers(
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
        with self._register.changed:
            opened.question, opened.tries, opened.not_before = answered, 0, 0.0
            opened.holders.clear()

    def _keep(self, question: SpooledQuestion, reply: Reply) -> None:
        """What was no question is no caller's last one."""
        if self._keeping is not None and reply.is_question:
            self._keeping.keep(
                reply.found,
                question_id=question.question_id,
                caller=question.caller,
                asked_at=_received(question),
                study_instance_uid=reply.study_instance_uid,
                called=question.called,
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
        self._register.postpone(opened)
        if opened.broken >= MAX_BROKEN and not opened.ended:
            with self._register.changed:
                opened.ended = "lost"


def _received(question: SpooledQuestion) -> datetime:
    return datetime.fromtimestamp(question.received_at, UTC)


def _encoded(document: Dataset) -> bytes:
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
