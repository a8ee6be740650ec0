"""Whether a case is no similar one: hardly alike, or of another kind than what was asked about or for."""

from __future__ import annotations

from typing import Final

from indexer.answers.asked_words import is_refined
from indexer.answers.words import Likeness, likeness_of
from indexer.domain import Answer, Match
from indexer.search.question import Question

PROJECTIONS: Final = frozenset({"CR", "DX", "RG"})
"""Modalities that are one to a radiologist."""


def is_hardly_alike(match: Match, answer: Answer, question: Question | None = None) -> bool:
    """Whether a case is no similar one, whatever its rank: a common likeness, or another kind of image.

    No case is where words or chosen cases were asked with too: a case that answers to these need not be like
    the example.
    """
    if is_refined(question, answer):
        return False
    return likeness_of(match) is Likeness.HARDLY_ALIKE or is_other_kind(match, answer, question)


def is_other_kind(match: Match, answer: Answer, question: Question | None = None) -> bool:
    """Whether a case is known to be of another modality than the series of the example that it answers.

    None is where modalities were asked for: every case is of one of these.
    """
    if question is not None and question.filters.modality:
        return False
    own = next((e.attributes.modality for e in answer.example if e.reference == match.answers), "")
    other = match.attributes.modality
    return bool(own and other) and _kind(own) != _kind(other)


def _kind(modality: str) -> str:
    return "projection" if modality in PROJECTIONS else modality
