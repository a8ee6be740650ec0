"""The questions that are not forgotten yet: in this process, and in the spool."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import replace

from indexer.ae.patience import OpenQuestion, Patience
from indexer.ae.spool import Spool
from indexer.answers.example import ExampleInstance
from indexer.destinations import Destination
from indexer.errors import Unavailable

logger = logging.getLogger(__name__)


class Register:
    """Every open question, oldest first; `changed` guards them, and is told of each change."""

    def __init__(self, spool: Spool, patience: Patience) -> None:
        """Take the spool, which is read by `load`."""
        self.spool = spool
        self.patience = patience
        self.changed = threading.Condition()
        self._open: dict[str, OpenQuestion] = {}
        self._beginning: set[tuple[str, str, str]] = set()

    def __len__(self) -> int:
        """How many questions are not forgotten yet."""
        with self.changed:
            return len(self._open)

    def __iter__(self) -> Iterator[OpenQuestion]:
        """The questions; to be walked through while `changed` is held."""
        return iter(self._open.values())

    def load(self) -> None:
        """Take up what an earlier process left."""
        now = time.monotonic()
        for question in self.spool.load():
            logger.info("question_taken_up question=%s state=%s", question.question_id, question.state)
            self._open[question.question_id] = OpenQuestion(
                question, first_at=now, last_at=now, has_example=True
            )

    def clear(self) -> None:
        """Know nothing any more; the spool does."""
        self._open.clear()

    def add(
        self,
        association: Hashable,
        caller: Destination,
        instance: ExampleInstance,
        content: bytes,
        called: str,
    ) -> None:
        """Keep one instance, as `Questions.receive` says."""
        opened = self._gathering(association, caller, instance.study_instance_uid, called)
        try:
            self.spool.add_instance(opened.question, instance.sop_instance_uid, content)
        finally:
            with self.changed:
                opened.writing -= 1
                opened.saw(instance)
                opened.last_at = time.monotonic()
                self.changed.notify_all()

    def let_go(self, association: Hashable) -> None:
        """The association holds no question open any more."""
        with self.changed:
            for opened in self:
                opened.holders.discard(association)
            self.changed.notify_all()

    def postpone(self, opened: OpenQuestion) -> float:
        """Leave it alone for a while; gives how long, in seconds."""
        with self.changed:
            opened.tries += 1
            delay_s = self.patience.delay_s(opened.tries)
            opened.not_before = time.monotonic() + delay_s
        return delay_s

    def note(self, opened: OpenQuestion) -> None:
        """Write down what was sent; while the disk refuses, this process knows it all the same."""
        try:
            self.spool.save(opened.question)
        except Unavailable as error:
            logger.warning("question_not_saved question=%s reason=%s", opened.question.question_id, error)

    def save(self, opened: OpenQuestion, **changes: int) -> None:
        """Change its record. Raises Unavailable where the disk refuses; nothing has changed then."""
        question = replace(opened.question, **changes)  # type: ignore[arg-type]
        self.spool.save(question)
        opened.question = question

    def forget(self, opened: OpenQuestion, reason: str) -> None:
        """It is over, for this reason."""
        with self.changed:
            opened.ended, opened.tries = reason, 0
        self.remove(opened)

    def remove(self, opened: OpenQuestion) -> None:
        """Take what is over from the disk, now or later: it holds patient data, so it is not left there."""
        question = opened.question
        try:
            self.spool.remove(question)
        except Unavailable as error:
            delay_s = self.postpone(opened)
            logger.warning(
                "question_not_removed question=%s delay_s=%.0f reason=%s",
                question.question_id,
                delay_s,
                error,
            )
            return
        logger.info("question_forgotten question=%s reason=%s", question.question_id, opened.ended)
        with self.changed:
            self._open.pop(question.question_id, None)

    def _gathering(
        self, association: Hashable, caller: Destination, study_instance_uid: str, called: str
    ) -> OpenQuestion:
        """The question that takes another instance, which the caller of this now writes.

        It is neither being asked nor answered. A new one is made without the lock: a slow disk holds up
        only those who wait for the same question.
        """
        key = caller.ae_title, study_instance_uid, called
        with self.changed:
            while True:
                opened = next((opened for opened in self._open.values() if opened.takes(key)), None)
                if opened is not None:
                    opened.holders.add(association)
                    opened.writing += 1
                    return opened
                if key not in self._beginning:
                    break
                self.changed.wait()
            self._beginning.add(key)
        try:
            return self._begin(association, caller, study_instance_uid, called)
        finally:
            with self.changed:
                self._beginning.discard(key)
                self.changed.notify_all()

    def _begin(
        self, association: Hashable, caller: Destination, study_instance_uid: str, called: str
    ) -> OpenQuestion:
        question = self.spool.create(caller.ae_title, str(caller), study_instance_uid, time.time(), called)
        logger.info(
            "question_received question=%s caller=%s called=%s study=%s",
            question.question_id,
            question.caller,
            called or "first",
            study_instance_uid,
        )
        now = time.monotonic()
        opened = OpenQuestion(question, first_at=now, last_at=now, holders={association}, writing=1)
        with self.changed:
            self._open[question.question_id] = opened
        return opened
