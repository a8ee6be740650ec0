"""The cases that a match shall be like, or unlike: their vectors, as far as they can be compared now."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexer.domain import SeriesEmbedding
from indexer.errors import Rejected
from indexer.line_up import LineUps
from indexer.ports import Caller
from indexer.search.clues import most_telling, of_a_case
from indexer.search.examples import Examples
from indexer.search.question import ExampleReference, Question

logger = logging.getLogger(__name__)

_Read = list[tuple[ExampleReference, tuple[SeriesEmbedding, ...]]]


@dataclass(frozen=True, slots=True)
class ChosenCases:
    """What is compared of the cases that were chosen; `question` names no others any more."""

    question: Question
    more: tuple[SeriesEmbedding, ...]
    less: tuple[SeriesEmbedding, ...]

    @classmethod
    def of(cls, question: Question, examples: Examples, caller: Caller, line_ups: LineUps) -> ChosenCases:
        """Read them from the index.

        Raises:
            Rejected: one of them cannot be compared, and the question does not leave such out; or it asks
                with nothing else.
            Unavailable: a neighbour did not answer.
        """
        more = _read(question.more, question, examples, caller, line_ups)
        less = _read(question.less, question, examples, caller, line_ups)
        left_out = len(question.more) + len(question.less) - len(more) - len(less)
        if left_out:
            logger.info("chosen_cases_left_out cases=%d", left_out)
            question = replace(question, more=_references(more), less=_references(less))
        of_each = of_a_case(len(more) + len(less))
        return cls(question, _compared(more, of_each), _compared(less, of_each))


def _read(
    references: Sequence[ExampleReference],
    question: Question,
    examples: Examples,
    caller: Caller,
    line_ups: LineUps,
) -> _Read:
    held: _Read = []
    for reference in references:
        try:
            held.append((reference, examples.read(reference, caller, line_ups)))
        except Rejected:
            if not question.leaves_out_absent:
                raise
    return held


def _references(held: _Read) -> tuple[ExampleReference, ...]:
    return tuple(reference for reference, _ in held)


def _compared(held: _Read, of_each: int) -> tuple[SeriesEmbedding, ...]:
    return tuple(embedding for _, series in held for embedding in most_telling(series, of_each))
