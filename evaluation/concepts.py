"""Concept overlap: how many of the medical concepts of an image its neighbours share."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import LABELS_NAME, Benchmark, LabelledImage
from evaluation.ranking import CHANCE, Names, rankings
from indexer.domain import Vector

CUTOFFS: Final = (1, 5, 10)
CUI_COLUMN: Final = "cui"
_CUI: Final = re.compile(r"C\d{7}")

Concepts = frozenset[str]
ConceptsOfText = Callable[[str], Concepts]
"""The concepts that a text asserts, negated ones left out."""


def given_concepts(benchmark: Benchmark) -> Mapping[str, Concepts]:
    """The UMLS concept unique identifiers that the table gives in its column `cui`, by image.

    An identifier is C and seven digits, whatever separates them; empty without that column.
    """
    path = benchmark.folder / LABELS_NAME
    with path.open(newline="", encoding="utf-8-sig") as file:
        found = {row["image"]: row.get(CUI_COLUMN) or "" for row in csv.DictReader(file)}
    wanted = {image.image for image in benchmark.images}
    parsed = {name: frozenset(_CUI.findall(text)) for name, text in found.items() if name in wanted}
    return {name: concepts for name, concepts in parsed.items() if concepts}


def concepts_in_texts(benchmark: Benchmark, concepts_of: ConceptsOfText) -> Mapping[str, Concepts]:
    """The concepts of each image's caption, or of its case's report where it has none."""
    known = {image.image: concepts_of(_text_of(image)) for image in benchmark.images if _text_of(image)}
    return {name: concepts for name, concepts in known.items() if concepts}


def concept_overlap(
    vector: Vector, concepts: Sequence[Concepts], subject: Names, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, NDArray[np.float64]]:
    """Per query: CUI@k, the mean overlap with its first k neighbours of other subjects, and chance.

    The overlap of two sets is their Jaccard index; chance is its mean over all that is allowed.

    Args:
        vector: float32 (n, d), unit rows.
        concepts: (n,), none of them empty.
        subject: (n,).
        cutoffs: the ks.

    Returns:
        float64 (n,) each, in [0, 1].

    Source:
        Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11(2), 1912; as
        relevance of captioned radiology images: Wei, Kurtz and Cloppet, "A semantically-aware relevance
        measure for content-based medical image retrieval evaluation", 2025 (there with other variants).
    """
    names = sorted(set().union(*concepts))
    column = {name: index for index, name in enumerate(names)}
    members = np.zeros((len(concepts), len(names)), dtype=np.float32)
    for row, own in zip(members, concepts, strict=True):
        row[[column[name] for name in own]] = 1
    size = members.sum(axis=1)
    values = {name: np.zeros(len(concepts)) for name in (*(f"CUI@{k}" for k in cutoffs), CHANCE)}
    for index, ranking in enumerate(rankings(vector, vector, subject, subject, max(cutoffs))):
        shared = members @ members[index]
        overlap = shared / np.maximum(size + size[index] - shared, 1)
        for k in cutoffs:
            values[f"CUI@{k}"][index] = overlap[ranking.nearest[:k]].mean()
        values[CHANCE][index] = overlap[ranking.allowed].mean()
    return values


def _text_of(image: LabelledImage) -> str:
    return image.caption or image.report
