"""Ranked studies become matches: the frame that is alike, and how far the score may be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.domain import Candidate, EncoderVersion, Match, SequenceMatch, SeriesAttributes, SeriesEmbedding
from indexer.ports import VectorIndex
from indexer.search.judging import Judge
from indexer.search.polling import Vote
from indexer.search.ranking import RankedStudy
from indexer.search.same_person import hold_same_pictures, may_be_same_person

Stored = Mapping[str, SeriesEmbedding]
"""The vectors of the series that carry matches, by archive id."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Reads the vectors of the series that carry a match, and those of no others."""

    index: VectorIndex
    judge: Judge

    def stored(self, ranked: Sequence[RankedStudy]) -> Stored:
        """The vectors of the series that are shown; one that is gone meanwhile is left out."""
        wanted: dict[EncoderVersion, list[str]] = {}
        for study in ranked:
            wanted.setdefault(study.votes[0].encoder, []).append(study.best.reference.archive_id)
        return {
            archive_id: embedding
            for version, ids in wanted.items()
            for archive_id, embedding in self.index.embeddings_by_id(version, ids).items()
        }

    def frames_of(self, candidate: Candidate, encoder: EncoderVersion) -> int:
        """How many frames of a series are indexed; 0 when it is gone meanwhile."""
        archive_id = candidate.reference.archive_id
        found = self.index.indexed(encoder, [archive_id]).get(archive_id)
        return 0 if found is None else len(found.frames)

    def of(self, ranked: Sequence[RankedStudy], stored: Stored, *, other_people: bool) -> tuple[Match, ...]:
        """The matches in the order given.

        Args:
            ranked: studies; one whose vectors are not there is left out.
            stored: as `stored` gave it.
            other_people: the studies are of other patients, of whom one may be the same person all the
                same, and whole frames were compared.
        """
        pairs = [(study, stored.get(study.best.reference.archive_id)) for study in ranked]
        present = [(study, embedding) for study, embedding in pairs if embedding is not None]
        return tuple(
            self._match(rank, study, embedding, other_people=other_people)
            for rank, (study, embedding) in enumerate(present, start=1)
        )

    def of_region(
        self, ranked: Sequence[RankedStudy], stored: Stored, whole: SeriesEmbedding
    ) -> tuple[Match, ...]:
        """The matches of a region, in the order given; who may be the same person is told by whole frames.

        Args:
            ranked: studies; one whose vectors are not there is left out.
            stored: as `stored` gave it.
            whole: the series that holds the region.
        """
        return tuple(
            replace(
                match,
                possible_same_person=hold_same_pictures(whole, stored[match.reference.archive_id]),
            )
            for match in self.of(ranked, stored, other_people=False)
        )

    def _match(self, rank: int, study: RankedStudy, stored: SeriesEmbedding, *, other_people: bool) -> Match:
        carrying = study.votes[0]
        asked, pair_score = carrying.clue.embedding, carrying.candidate.score
        asked_index, frame_index, cosine = _nearest_frames(asked, stored)
        by_example = carrying.clue.role == "example"
        kind = _common_kind(asked.attributes, stored.attributes)
        is_measured = by_example and asked.compares_whole(len(stored.frames))
        return Match(
            rank=rank,
            score=study.score,
            reference=stored.reference,
            attributes=stored.attributes,
            frame=stored.frames[frame_index],
            encoder=asked.encoder,
            answers=asked.reference if by_example else None,
            example_frame=asked.frames[asked_index] if by_example else None,
            pair_score=pair_score,
            percent=self.judge.percent(stored.encoder, kind, pair_score) if is_measured else None,
            percent_of=self.judge.pairs_of(stored.encoder, kind),
            sequences=tuple(_sequence(vote) for vote in study.votes if vote.clue.role == "example"),
            possible_same_person=other_people and by_example and may_be_same_person(cosine, pair_score),
            carried_by_report=study.report is not None,
        )


def _nearest_frames(asked: SeriesEmbedding, stored: SeriesEmbedding) -> tuple[int, int, float]:
    """The places of the nearest two frames, and their cosine.

    Where the vectors are of two encoders, and a report stands between them, the middle frame is shown.
    """
    if asked.encoder != stored.encoder:
        return 0, len(stored.frames) // 2, 0.0
    alike = asked.frame_vectors @ stored.frame_vectors.T
    asked_index, frame_index = np.unravel_index(int(alike.argmax()), alike.shape)
    return int(asked_index), int(frame_index), float(alike.max())


def _common_kind(one: SeriesAttributes, other: SeriesAttributes) -> SeriesAttributes:
    """Modality and body part as far as both series are of the same."""
    if one.modality != other.modality:
        return SeriesAttributes()
    same_part = one.body_part_examined == other.body_part_examined
    return SeriesAttributes(one.modality, one.body_part_examined if same_part else "")


def _sequence(vote: Vote) -> SequenceMatch:
    return SequenceMatch(
        example=vote.clue.embedding.reference,
        example_attributes=vote.clue.embedding.attributes,
        reference=vote.candidate.reference,
        attributes=vote.candidate.attributes,
        score=vote.candidate.score,
        is_like=vote.is_like,
    )
