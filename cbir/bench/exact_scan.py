"""The same answers by numpy alone, over arrays in memory: what a search is measured against."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.domain import Scope, SeriesAttributes, SeriesEmbedding, Vector

DEPTH = 100


class ExactScan:
    """Every pooled vector is compared, the best 100 ranked by MaxSim, the best series of each study kept."""

    def __init__(self, series: int, frames: int, dimension: int) -> None:
        self._pooled = np.empty((series, dimension), dtype=np.float32)
        self._frames = np.empty((series, frames, dimension), dtype=np.float16)
        self._references: list[tuple[str, SeriesAttributes]] = []

    def add(self, embedding: SeriesEmbedding) -> None:
        """Take one more series in."""
        row = len(self._references)
        self._pooled[row], self._frames[row] = embedding.vector, embedding.frame_vectors
        self._references.append((embedding.reference.study_instance_uid, embedding.attributes))

    def mask(self, scope: Scope) -> NDArray[np.bool_] | None:
        """Which series may come, made before the clock starts, as an index of the payload would be."""
        studies, patients, modalities, body_parts = self._columns
        found = np.ones(len(studies), dtype=bool)
        if scope.filters.modality:
            found &= np.isin(modalities, scope.filters.modality)
        if scope.filters.body_part_examined:
            found &= np.isin(body_parts, scope.filters.body_part_examined)
        if scope.not_study is not None:
            found &= studies != scope.not_study
        if scope.not_patient is not None:
            found &= patients != scope.not_patient
        return None if found.all() else found

    @cached_property
    def _columns(self) -> tuple[NDArray[np.str_], ...]:
        """Study, patient, modality and body part of every series, once all are there."""
        rows = (
            (study, about.patient or "", about.modality, about.body_part_examined)
            for study, about in self._references
        )
        return tuple(np.asarray(column) for column in zip(*rows, strict=True))

    def nearest(
        self, vector: Vector, frames: Vector, limit: int, mask: NDArray[np.bool_] | None
    ) -> list[str]:
        """The study UIDs of the nearest studies, best first."""
        scores = self._pooled @ vector
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        depth = min(DEPTH, len(scores))
        near = np.argpartition(-scores, depth - 1)[:depth]
        near = near[np.isfinite(scores[near])]
        stored = self._frames[near].astype(np.float32)
        ranked = (stored @ frames.T).max(axis=1).sum(axis=1)
        best: dict[str, float] = {}
        for place in np.argsort(-ranked, kind="stable"):
            best.setdefault(self._references[near[place]][0], float(ranked[place]))
        return list(best)[:limit]
