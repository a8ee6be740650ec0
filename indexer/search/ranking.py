"""Ranked studies: each clue is polled, and what the series of one study say is fused into one score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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


class Polls:
    """The polls of one question, kept while it is looked deeper; one of `reports` for each of its texts."""

    def __init__(self, index: VectorIndex, clues: Sequence[Clue], scope: Scope) -> None:
        self.scope = scope
        self.of_images = [Poll(index, clue, scope) for clue in clues]
        self.reports = [Poll(index, clue, _of_reports(scope)) for clue in clues if clue.role == "text"]
        self._looking = [poll for poll in self.of_images if poll.clue.role != "less"] + self.reports

    @property
    def is_exhausted(self) -> bool:
        """Whether looking deeper finds nothing more."""
        return all(poll.is_exhausted for poll in self._looking)

    def find(self, wanted: int) -> None:
        """What each of them finds."""
        for poll in self._looking:
            poll.find(wanted)

    def complete(self, studies: Collection[str]) -> None:
        """Each of them has its say on each of these studies."""
        for poll in [*self.of_images, *self.reports]:
            poll.complete(studies)

    def studies(self) -> set[str]:
        """Every study that was found."""
        return {uid for poll in self._looking for uid in poll.votes}

    def votes(self, uid: str) -> tuple[Vote, ...]:
        """What was found among the images of a study, the vote that carries it first."""
        votes = [poll.votes[uid] for poll in self.of_images if uid in poll.votes and poll.clue.role != "less"]
        return tuple(sorted(votes, key=lambda vote: (_ORDER[vote.clue.role], -vote.score)))

    def report_of(self, uid: str) -> Vote | None:
        """The report of a study that is nearest to any of the texts."""
        votes = [poll.votes[uid] for poll in self.reports if uid in poll.votes]
        return max(votes, key=lambda vote: vote.score, default=None)


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

    def promising(self, polls: Polls) -> list[str]:
        """The studies that were found, the one that may be the best first, by what is known so far."""
        studies = polls.studies()
        scores = fused(polls.of_images, polls.reports, studies, self.text_weight).scores
        return sorted(studies, key=lambda uid: (-scores[uid], uid))

    def rank(self, polls: Polls, studies: Collection[str]) -> list[RankedStudy]:
        """These studies, best first; equal ones by their UID. All of them must have been completed."""
        votes = {uid: polls.votes(uid) for uid in studies}
        written = {uid: vote for uid in studies if (vote := polls.report_of(uid)) is not None}
        only_written = {uid: vote for uid, vote in written.items() if not votes[uid]}
        votes |= {uid: (vote,) for uid, vote in self._pictured(only_written, polls.scope).items()}
        result = fused(polls.of_images, polls.reports, studies, self.text_weight)
        ranked = [
            RankedStudy(
                score=min(1.0, max(-1.0, result.scores[uid])),
                votes=votes[uid],
                report=written[uid].candidate.reference if uid in result.by_report else None,
            )
            for uid in studies
            if votes[uid]
        ]
        ranked.sort(key=lambda study: (-result.scores[study.study_instance_uid], study.study_instance_uid))
        return ranked

    def _pictured(self, written: Mapping[str, Vote], scope: Scope) -> dict[str, Vote]:
        """An image series for each study that only its report brought.

        Its images are with an encoder that reads no text, and cannot be compared with one: which of them
        is shown does not matter, so they are asked for from an arbitrary direction.
        """
        found: dict[str, Vote] = {}
        for version in self.versions:
            missing = tuple(
                sorted(uid for uid, vote in written.items() if uid not in found and vote.encoder != version)
            )
            if not missing:
                continue
            anywhere = np.full((1, version.dimension), version.dimension**-0.5, dtype=np.float32)
            within = replace(scope, only_studies=missing)
            for candidate in self.index.nearest(
                version, anywhere[0], anywhere, limit=len(missing), scope=within
            ):
                uid = candidate.reference.study_instance_uid
                score = written[uid].candidate.score
                found[uid] = Vote(written[uid].clue, replace(candidate, score=score), held_by=version)
        return found


def _of_reports(scope: Scope) -> Scope:
    """The same for reports: their modality and body part are those of a document, their date the study's."""
    dates = Filters(study_date_from=scope.filters.study_date_from, study_date_to=scope.filters.study_date_to)
    return replace(scope, filters=dates, kind="report")
