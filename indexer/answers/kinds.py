"""Whether a case shows the same kind of image as what was asked about, as a radiologist sees it."""

from __future__ import annotations

from typing import Final

from indexer.answers.words import Likeness, likeness_of
from indexer.domain import Answer, Match

PROJECTIONS: Final = frozenset({"CR", "DX", "RG"})
"""Modalities that are one to a radiologist."""


def is_hardly_alike(match: Match, answer: Answer) -> bool:
    """Whether a case is no similar one, whatever its rank: a common likeness, or another kind of image."""
    return likeness_of(match) is Likeness.HARDLY_ALIKE or is_other_kind(match, answer)


def is_other_kind(match: Match, answer: Answer) -> bool:
    """Whether a case is known to be of another modality than the series of the example that it answers."""
    own = next((e.attributes.modality for e in answer.example if e.reference == match.answers), "")
    other = match.attributes.modality
    return bool(own and other) and _kind(own) != _kind(other)


def _kind(modality: str) -> str:
    return "projection" if modality in PROJECTIONS else modality
