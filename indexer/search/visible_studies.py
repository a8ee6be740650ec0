"""Studies that the caller may see: what is hidden from her takes nobody's place, and is named nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from indexer.domain import Scope, SeriesReference
from indexer.ports import Access, Caller
from indexer.search.clues import Clue
from indexer.search.polling import Poll
from indexer.search.ranking import Polls, RankedStudy, Ranking

OVERFETCH: Final = 4
MOST_PROBED: Final = 1000
MOST_OF_ONE_PATIENT: Final = 100


@dataclass(frozen=True, slots=True)
class VisibleStudies:
    """Ranks, and looks deeper while too little of it may be seen."""

    ranking: Ranking
    access: Access
    caller: Caller

    def nearest(self, clues: Sequence[Clue], scope: Scope, limit: int) -> list[RankedStudy]:
        """Up to `limit` studies, best first.

        Four times as many are compared in full: those that are the best by what is found of them first, and
        that the caller may see. A report that she may not see is left out, its images are not.
        """
        polls = Polls(self.ranking.index, clues, scope)
        sight = _Sight(self.access, self.caller)
        hidden: set[str] = set()
        wanted = limit * OVERFETCH
        while True:
            polls.find(wanted)
            _leave_out_hidden(polls.reports, sight)
            before = len(hidden)
            compared = self._compared(polls, sight, hidden, limit * OVERFETCH, wanted)
            polls.complete(compared)
            _leave_out_hidden(polls.reports, sight)
            ranked = self.ranking.rank(polls, compared)
            visible = sight.of([series for study in ranked for series in study.shown])
            shown = [study for study in ranked if visible.issuperset(one.archive_id for one in study.shown)]
            hidden |= set(compared) - {study.study_instance_uid for study in shown}
            is_all = polls.is_exhausted and len(hidden) == before
            if len(shown) >= limit or is_all or wanted >= MOST_PROBED:
                return self._without_hidden_series(shown[:limit])
            wanted *= OVERFETCH

    def _compared(self, polls: Polls, sight: _Sight, hidden: set[str], most: int, probed: int) -> list[str]:
        """The most promising studies of those whose images the caller may see as far as they are known.

        Those that she may not see are added to the `hidden` ones.
        """
        promising = [uid for uid in self.ranking.promising(polls) if uid not in hidden][:probed]
        found = {uid: votes[0].candidate.reference for uid in promising if (votes := polls.votes(uid))}
        visible = sight.of(list(found.values()))
        hidden.update(uid for uid, series in found.items() if series.archive_id not in visible)
        return [uid for uid in promising if uid not in hidden][:most]

    def of_one_patient(self, clues: Sequence[Clue], scope: Scope, limit: int) -> list[RankedStudy]:
        """The newest studies of the patient that the scope names, equally old ones by their likeness.

        Of a patient with more than a hundred studies, the newest of the hundred that are most alike.
        """
        studies = self.nearest(clues, scope, MOST_OF_ONE_PATIENT)
        studies.sort(key=lambda study: study.best.attributes.study_date or date.min, reverse=True)
        return studies[:limit]

    def _without_hidden_series(self, studies: Sequence[RankedStudy]) -> list[RankedStudy]:
        """The same without the votes of series that the caller may not see; the one that is shown she may."""
        voting = [vote.candidate.reference for study in studies for vote in study.votes]
        visible = self.access.visible(self.caller, voting)
        return [
            replace(
                study,
                votes=tuple(v for v in study.votes if v.candidate.reference.archive_id in visible),
            )
            for study in studies
        ]


class _Sight:
    """What the caller may see, asked once for each series."""

    def __init__(self, access: Access, caller: Caller) -> None:
        self._access = access
        self._caller = caller
        self._asked: set[str] = set()
        self._visible: set[str] = set()

    def of(self, series: Sequence[SeriesReference]) -> set[str]:
        """The archive ids of what she may see."""
        new = [one for one in series if one.archive_id not in self._asked]
        if new:
            self._visible |= self._access.visible(self._caller, new)
            self._asked |= {one.archive_id for one in new}
        return self._visible


def _leave_out_hidden(reports: Sequence[Poll], sight: _Sight) -> None:
    """No study is brought, or brought nearer, by a report that the caller may not see."""
    for poll in reports:
        written = {uid: vote.candidate.reference for uid, vote in poll.votes.items()}
        visible = sight.of(list(written.values()))
        poll.forget([uid for uid, report in written.items() if report.archive_id not in visible])
