"""Late interaction over clues: each finds its near series, and the series of one study vote together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from indexer.domain import Candidate, Scope
from indexer.ports import VectorIndex
from indexer.search.clues import Clue, Role

MORE_WEIGHT: Final = 1.0
LESS_WEIGHT: Final = 0.5
"""Of chosen cases, beside 1 for the example (Rocchio, Relevance feedback in information retrieval, 1971)."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one clue found in a study."""

    clue: Clue
    candidate: Candidate
    is_like: bool = True


@dataclass(frozen=True, slots=True)
class RankedStudy:
    """A candidate study: its fused score in [-1, 1] and the votes, the one that carries it first."""

    score: float
    votes: tuple[Vote, ...]

    @property
    def best(self) -> Candidate:
        """The series that is shown for the study."""
        return self.votes[0].candidate

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.best.reference.study_instance_uid


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks studies for the clues of one question; `text_weight` as the question has it."""

    index: VectorIndex
    text_weight: float = 0.5

    def rank(self, clues: Sequence[Clue], scope: Scope, wanted: int) -> list[RankedStudy]:
        """The `wanted` best studies, best first; equal ones by their UID.

        A study scores the mean, over the clues of one role, of its best series; the roles are fused by
        their weights.
        """
        near = [self._by_study(clue, scope, wanted) for clue in clues]
        studies = {
            uid for clue, found in zip(clues, near, strict=True) if clue.role != "less" for uid in found
        }
        for clue, found in zip(clues, near, strict=True):
            missing = tuple(sorted(studies - found.keys()))
            if missing:
                found.update(self._by_study(clue, replace(scope, only_studies=missing), len(missing)))
        ranked = [self._fused(uid, clues, near) for uid in studies]
        ranked.sort(key=lambda study: (-study.score, study.study_instance_uid))
        return ranked[:wanted]

    def _by_study(self, clue: Clue, scope: Scope, limit: int) -> dict[str, Candidate]:
        embedding = clue.embedding
        found = self.index.nearest(
            embedding.encoder, embedding.vector, embedding.frame_vectors, limit=limit, scope=scope
        )
        return {candidate.reference.study_instance_uid: candidate for candidate in found}

    def _fused(self, uid: str, clues: Sequence[Clue], near: Sequence[Mapping[str, Candidate]]) -> RankedStudy:
        votes = [Vote(clue, found[uid]) for clue, found in zip(clues, near, strict=True) if uid in found]
        carrying = sorted(
            (vote for vote in votes if vote.clue.role != "less"),
            key=lambda vote: (vote.clue.role != "example", -vote.candidate.score),
        )
        return RankedStudy(score=self._score(votes), votes=tuple(carrying))

    def _score(self, votes: Sequence[Vote]) -> float:
        means: dict[Role, float] = {}
        for role in ("example", "more", "less", "text"):
            scores = [vote.candidate.score for vote in votes if vote.clue.role == role]
            if scores:
                means[role] = sum(scores) / len(scores)
        weights: dict[Role, float] = {"example": 1.0, "more": MORE_WEIGHT}
        if "text" in means and len(means.keys() - {"less"}) > 1:
            weights = {role: weight * (1 - self.text_weight) for role, weight in weights.items()}
            weights["text"] = self.text_weight
        else:
            weights["text"] = 1.0
        present = {role: weight for role, weight in weights.items() if role in means}
        total = sum(present.values())
        liked = sum(weight * means[role] for role, weight in present.items()) / total if total else 0.0
        unlike = LESS_WEIGHT * max(0.0, means.get("less", 0.0))
        return min(1.0, max(-1.0, liked - unlike))
