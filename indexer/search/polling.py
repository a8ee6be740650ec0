"""What one clue finds: of each study its best like series or, where there is none, its best series."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from indexer.domain import Candidate, EncoderVersion, Scope
from indexer.ports import VectorIndex
from indexer.search.clues import Clue
from indexer.search.likeness import UNLIKE_FACTOR, is_like, like_scope


@dataclass(frozen=True, slots=True)
class Vote:
    """What one clue found in a study; `encoder` holds the candidate, another than the clue's at times."""

    clue: Clue
    candidate: Candidate
    is_like: bool = True
    held_by: EncoderVersion | None = None

    @property
    def score(self) -> float:
        """What the vote counts, in [-1, 1]: less than the candidate's score where no series is like."""
        score = self.candidate.score
        return score if self.is_like or score <= 0 else score * UNLIKE_FACTOR

    @property
    def encoder(self) -> EncoderVersion:
        """Whose vectors hold the candidate."""
        return self.held_by or self.clue.embedding.encoder


class Poll:
    """Asks the vector index for one clue, as seldom as will do.

    The nearest series of any kind are asked for first. Where all of them are like the clue's there is no
    better like one anywhere; otherwise the like ones are asked for besides.
    """

    def __init__(self, index: VectorIndex, clue: Clue, scope: Scope) -> None:
        self._index = index
        self._clue = clue
        self._scope = scope
        self._like_scope = like_scope(scope, clue.embedding.attributes)
        self._completed: set[str] = set()
        self._least: float | None = None
        self.is_exhausted = False
        self.votes: dict[str, Vote] = {}

    @property
    def clue(self) -> Clue:
        """What is asked with."""
        return self._clue

    def find(self, wanted: int) -> None:
        """The votes of the `wanted` nearest studies, and of the `wanted` nearest with a like series.

        What was found before is kept. `is_exhausted` says that every study in scope has a vote.
        """
        if self.is_exhausted:
            return
        found = self._nearest(self._scope, wanted)
        self._take(found)
        self.is_exhausted = len(found) < wanted
        if self._like_scope is not None and not all(vote.is_like for vote in self.votes.values()):
            self._take(self._nearest(self._like_scope, wanted))
        self._least = min((vote.score for vote in self.votes.values()), default=None)

    def complete(self, studies: Collection[str]) -> None:
        """A vote for each of these studies that holds a series in scope; each is asked for once."""
        new = [uid for uid in studies if uid not in self._completed]
        if self._like_scope is not None:
            self._take(self._nearest_of(self._like_scope, [uid for uid in new if not self._has_like(uid)]))
        if self._like_scope != self._scope:
            self._take(self._nearest_of(self._scope, [uid for uid in new if uid not in self.votes]))
        self._completed.update(new)

    def score_of(self, uid: str) -> float | None:
        """What the vote for a study counts; None where it holds nothing in scope.

        A study that was neither found nor completed has no more than what was found last.
        """
        if uid in self.votes:
            return self.votes[uid].score
        return None if uid in self._completed or self.is_exhausted else self._least

    def forget(self, studies: Collection[str]) -> None:
        """Take the votes for these studies back; there is nothing in them."""
        for uid in studies:
            self.votes.pop(uid, None)
        self._completed.update(studies)

    def _has_like(self, uid: str) -> bool:
        return uid in self.votes and self.votes[uid].is_like

    def _nearest_of(self, scope: Scope, studies: Collection[str]) -> tuple[Candidate, ...]:
        within = tuple(sorted(studies))
        return self._nearest(replace(scope, only_studies=within), len(within)) if within else ()

    def _nearest(self, scope: Scope, limit: int) -> tuple[Candidate, ...]:
        asked = self._clue.embedding
        return self._index.nearest(asked.encoder, asked.vector, asked.frame_vectors, limit=limit, scope=scope)

    def _take(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            like = is_like(self._clue.embedding.attributes, candidate.attributes)
            known = self.votes.get(candidate.reference.study_instance_uid)
            if known is None or (like, candidate.score) > (known.is_like, known.candidate.score):
                vote = Vote(self._clue, candidate, like)
                self.votes[candidate.reference.study_instance_uid] = vote
