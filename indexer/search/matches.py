"""Ranked studies become matches: the frame that is alike, and how far the score may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.domain import EncoderVersion, Match, SequenceMatch, SeriesEmbedding
from indexer.ports import VectorIndex
from indexer.search.judging import Judge
from indexer.search.ranking import RankedStudy, Vote


@dataclass(frozen=True, slots=True)
class Matches:
    """Reads the vectors of the series that carry a match, and those of no others."""

    index: VectorIndex
    judge: Judge

    def of(self, ranked: Sequence[RankedStudy]) -> tuple[Match, ...]:
        """The matches in rank order; a series that is gone meanwhile is left out."""
        wanted: dict[EncoderVersion, list[str]] = {}
        for study in ranked:
            version = study.votes[0].clue.embedding.encoder
            wanted.setdefault(version, []).append(study.best.reference.archive_id)
        stored = {version: self.index.embeddings_by_id(version, ids) for version, ids in wanted.items()}
        pairs = [
            (study, stored[study.votes[0].clue.embedding.encoder].get(study.best.reference.archive_id))
            for study in ranked
        ]
        present = [(study, embedding) for study, embedding in pairs if embedding is not None]
        return tuple(self._match(rank, *pair) for rank, pair in enumerate(present, start=1))

    def _match(self, rank: int, study: RankedStudy, stored: SeriesEmbedding) -> Match:
        carrying = study.votes[0]
        asked = carrying.clue.embedding
        alike = asked.frame_vectors @ stored.frame_vectors.T
        asked_index, frame_index = np.unravel_index(int(alike.argmax()), alike.shape)
        by_example = carrying.clue.role == "example"
        return Match(
            rank=rank,
            score=study.score,
            reference=stored.reference,
            attributes=stored.attributes,
            frame=stored.frames[int(frame_index)],
            encoder=stored.encoder,
            answers=asked.reference if by_example else None,
            example_frame=asked.frames[int(asked_index)] if by_example else None,
            pair_score=carrying.candidate.score,
            percent=self.judge.percent(stored.encoder, stored.attributes, carrying.candidate.score)
            if by_example
            else None,
            sequences=tuple(_sequence(vote) for vote in study.votes if vote.clue.role == "example"),
        )


def _sequence(vote: Vote) -> SequenceMatch:
    return SequenceMatch(
        example=vote.clue.embedding.reference,
        example_attributes=vote.clue.embedding.attributes,
        reference=vote.candidate.reference,
        attributes=vote.candidate.attributes,
        score=vote.candidate.score,
        is_like=vote.is_like,
    )
