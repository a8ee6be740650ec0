"""Ranked studies: each clue is polled, and what the series of one study say is fused into one score."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from indexer.domain import Candidate, EncoderVersion, Filters, Scope, SeriesReference
from indexer.ports import VectorIndex
from indexer.search.clues import Clue
from indexer.search.fusing import fused
from indexer.search.polling import Poll, Vote

_ORDER: Final = {"example": 0, "more": 1, "text": 2}


@dataclass(frozen=True, slots=True)
class RankedStudy:
    """A candidate study: its fused score in [-1, 1] and the votes, the one that carries it first.

    `report` is the report that answers a text better than the images do, where one does. What the votes
    name are images always.
    """

    score: float
    votes: tuple[Vote, ...]
    report: SeriesReference | None = None

    @property
    def best(self) -> Candidate:
        """The series that is shown for the study."""
        return self.votes[0].candidate

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.best.reference.study_instance_uid

    @property
    def shown(self) -> tuple[SeriesReference, ...]:
        """What a caller must be allowed to see: the series that is shown, and the report that carried it."""
        return (self.best.reference,) if self.report is None else (self.best.reference, self.report)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks studies for the clues of one question.

    Attributes:
        index: the vectors.
        text_weight: as the question has it.
        versions: the encoders that are searched: a study that only its report brought may have its images
            with another than the one that read the report.
    """

    index: VectorIndex
    text_weight: float = 0.5
    versions: Sequence[EncoderVersion] = ()

    def rank(self, clues: Sequence[Clue], scope: Scope, wanted: int) -> list[RankedStudy]:
        """The `wanted` best studies, best first; equal ones by their UID."""
        polls = [Poll(self.index, clue, scope) for clue in clues]
        text = next((clue for clue in clues if clue.role == "text"), None)
        reports = None if text is None else Poll(self.index, text, _of_reports(scope))
        looking = [poll for poll in polls if poll.clue.role != "less"] + ([reports] if reports else [])
        for poll in looking:
            poll.find(wanted)
        studies = {uid for poll in looking for uid in poll.votes}
        for poll in [*polls, *([reports] if reports else [])]:
            poll.complete(studies)
        votes = {uid: _votes(uid, polls) for uid in studies}
        if reports is not None:
            pictured = self._pictured(reports, [uid for uid in studies if not votes[uid]], scope)
            votes |= {uid: (vote,) for uid, vote in pictured.items()}
        result = fused(polls, reports, studies, self.text_weight)
        ranked = [
            RankedStudy(
                score=min(1.0, max(-1.0, result.scores[uid])),
                votes=votes[uid],
                report=reports.votes[uid].candidate.reference
                if reports and uid in result.by_report
                else None,
            )
            for uid in studies
            if votes[uid]
        ]
        ranked.sort(key=lambda study: (-result.scores[study.study_instance_uid], study.study_instance_uid))
        return ranked[:wanted]

    def _pictured(self, reports: Poll, studies: Collection[str], scope: Scope) -> dict[str, Vote]:
        """An image series for each study that only its report brought.

        Its images are with an encoder that reads no text, and cannot be compared with one: which of them
        is shown does not matter, so they are asked for from an arbitrary direction.
        """
        found: dict[str, Vote] = {}
        for version in self.versions:
            missing = tuple(sorted(uid for uid in studies if uid not in found))
            if not missing or version == reports.clue.embedding.encoder:
                continue
            anywhere = np.full((1, version.dimension), version.dimension**-0.5, dtype=np.float32)
            within = replace(scope, only_studies=missing)
            for candidate in self.index.nearest(
                version, anywhere[0], anywhere, limit=len(missing), scope=within
            ):
                uid = candidate.reference.study_instance_uid
                score = reports.votes[uid].candidate.score
                found[uid] = Vote(reports.clue, replace(candidate, score=score), held_by=version)
        return found


def _votes(uid: str, polls: Sequence[Poll]) -> tuple[Vote, ...]:
    votes = [poll.votes[uid] for poll in polls if uid in poll.votes and poll.clue.role != "less"]
    return tuple(sorted(votes, key=lambda vote: (_ORDER[vote.clue.role], -vote.score)))


def _of_reports(scope: Scope) -> Scope:
    """The same for reports: their modality and body part are those of a document, their date the study's."""
    dates = Filters(study_date_from=scope.filters.study_date_from, study_date_to=scope.filters.study_date_to)
    return replace(scope, filters=dates, kind="report")
