"""Whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from indexer.ae.patience import OpenQuestion, Patience

ASKERS: Final = 2
DELIVERERS: Final = 4
PUSHERS: Final = 2
"""Questions that are asked, answers that are delivered, and sets of cases that are pushed, at a time."""


def due(questions: Iterable[OpenQuestion], patience: Patience, now: float) -> list[OpenQuestion]:
    """Those to go on with, oldest first.

    Never two about the same example of a caller at once, nor two answers, nor two sets of cases, for one
    caller. Of flags about one example the question that came last is asked; the others have ended.

    Args:
        questions: every open question, oldest first.
        patience: how long each step waits.
        now: monotonic seconds.
    """
    every = tuple(questions)
    _leave_to_the_last(every)
    asking = {opened.topic for opened in every if opened.busy and opened.waits}
    delivering, pushing = (
        {o.question.caller for o in every if o.busy and not o.waits and o.pushes is pushes}
        for pushes in (False, True)
    )
    found = []
    for opened in every:
        if opened.busy or now < opened.not_before:
            continue
        if opened.waits:
            ready = opened.is_gathered(now, patience) and not _waits_for_others(opened, every)
            if ready and opened.topic not in asking and len(asking) < ASKERS:
                asking.add(opened.topic)
                found.append(opened)
            continue
        served, most = (pushing, PUSHERS) if opened.pushes else (delivering, DELIVERERS)
        if opened.question.caller not in served and len(served) < most:
            served.add(opened.question.caller)
            found.append(opened)
    return found


def _leave_to_the_last(every: Iterable[OpenQuestion]) -> None:
    """Of flags about one example the question that came last is asked: it heeds those of the others.

    While an instance of a question is being written nobody knows yet whether it holds more than flags.
    """
    last: dict[tuple[str, str, str], OpenQuestion] = {}
    for opened in every:
        if opened.about and opened.waits and not opened.busy and not opened.writing:
            before = last.get(opened.topic)
            if before is not None:
                before.ended = "noted"
            last[opened.topic] = opened


def _waits_for_others(opened: OpenQuestion, every: Iterable[OpenQuestion]) -> bool:
    """Whether more flags of this caller may be about the same example, and are not noted yet."""
    same = (opened.question.caller, opened.question.called)
    return bool(opened.about) and any(
        other.is_unread and (other.question.caller, other.question.called) == same for other in every
    )
