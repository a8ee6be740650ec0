"""What an export changes in what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.benchmark import LabelledImage
from evaluation.ranking import rankings, unit_vectors
from indexer.domain import Vector

NEAREST: Final = 10
LABEL: Final = "modality+body_part"


@dataclass(frozen=True, slots=True)
class RetrievalEffect:
    """Over images that search among each other, their own subject left out.

    Attributes:
        kept: the share of each image's 10 nearest that are the same after the export, in [0, 1].
        before: P@10 by modality and body part with torch's vectors.
        after: with the exported ones.
    """

    kept: float
    before: float
    after: float


def retrieval_effect(rows: Sequence[LabelledImage], before: Vector, after: Vector) -> RetrievalEffect:
    """Compare what is nearest by torch's (n, d) vectors and by the exported ones."""
    subjects = np.array([row.subject for row in rows])
    labels = np.array([row.label(LABEL) for row in rows])
    near = [
        [found.nearest for found in rankings(unit, unit, subjects, subjects, NEAREST)]
        for unit in (unit_vectors(before), unit_vectors(after))
    ]
    kept = [np.isin(a, b).mean() for a, b in zip(*near, strict=True) if len(a)]
    precision = [
        float(np.mean([(labels[found] == label).mean() for found, label in zip(each, labels, strict=True)]))
        for each in near
    ]
    return RetrievalEffect(float(np.mean(kept)), *precision)
