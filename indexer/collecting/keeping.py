"""Keeping what a question was answered, and sending its best cases along with the answer."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from indexer.collecting.cases import Cases, KeptAnswers
from indexer.collecting.sending import Sending
from indexer.collecting.watching import Watch
from indexer.destinations import Destination
from indexer.domain import Answer
from indexer.errors import Rejected, Unavailable
from indexer.ledger import KeptAnswer

logger = logging.getLogger(__name__)


class Keeping:
    """What happens to an answer beside its delivery."""

    def __init__(self, answers: KeptAnswers, cases: Cases, sending: Sending, *, push_top: int = 0) -> None:
        """Keep in `answers`; send `push_top` of the best cases along, 0 for none."""
        self._answers = answers
        self._cases = cases
        self._sending = sending
        self._push_top = push_top

    def keep(
        self,
        answer: Answer,
        *,
        question_id: str,
        caller: str,
        asked_at: datetime,
        study_instance_uid: str,
        called: str = "",
    ) -> None:
        """Let the caller collect the cases; without a ledger the answer is delivered all the same.

        `called` is the AE title of ours that asks in a way of its own; empty for the first.
        """
        kept = KeptAnswer.of(
            answer,
            question_id=question_id,
            caller=caller,
            asked_at=asked_at,
            study_instance_uid=study_instance_uid,
            called=called,
        )
        try:
            self._answers.keep_answer(kept)
        except Unavailable as error:
            logger.warning("answer_not_kept question=%s reason=%s", question_id, error.reason)

    @property
    def pushes(self) -> bool:
        """Whether cases go along with an answer."""
        return self._push_top > 0

    def push(
        self, question_id: str, destination: Destination, *, done: Collection[str], watch: Watch
    ) -> None:
        """Send the best cases of an answer that was delivered, without the studies `done` already.

        Raises:
            Unavailable: the destination or a neighbour does not answer, or `watch` called it off: later.
        """
        if not self.pushes:
            return
        answer = self._answers.answer_to(question_id)
        if answer is None:
            return
        try:
            self._sending.push(self._cases, answer, self._push_top, destination, done=done, watch=watch)
        except Rejected as refusal:
            logger.warning("cases_not_pushed question=%s reason=%s", question_id, refusal.reason)
