"""Like series: of the same modality, sequence and plane, as far as these are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from indexer.domain import Scope, SeriesAttributes

UNLIKE_FACTOR: Final = 0.9
"""What the score of the best series of a study counts where the study has no like series.

A study without a sequence is common and must not be lost; a study with the sequence, alike to the same
degree, comes before it.
"""

_ALIKE: Final = (frozenset({"CR", "DX", "RG"}),)
"""Modalities that are one to a radiologist: projections on film, on a plate, on a detector."""


def is_like(one: SeriesAttributes, other: SeriesAttributes) -> bool:
    """Whether two series are of the same modality, sequence and plane; what is unknown is no difference."""
    return (
        (not one.modality or not other.modality or other.modality in _modalities_like(one.modality))
        and _agree(one.sequence, other.sequence)
        and _agree(one.plane, other.plane)
    )


def like_scope(scope: Scope, attributes: SeriesAttributes) -> Scope | None:
    """Where series come from that are like this one; None where the question's filters leave none."""
    filters = scope.filters
    modalities = (*sorted(_modalities_like(attributes.modality)), "") if attributes.modality else ()
    if modalities and filters.modality:
        modalities = tuple(modality for modality in modalities if modality in filters.modality)
        if not modalities:
            return None
    return replace(
        scope,
        filters=replace(filters, modality=modalities or filters.modality),
        sequence=attributes.sequence,
        plane=attributes.plane,
    )


def _modalities_like(modality: str) -> frozenset[str]:
    return next((alike for alike in _ALIKE if modality in alike), frozenset({modality}))


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other
