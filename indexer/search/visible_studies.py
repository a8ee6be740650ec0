"""Studies that the caller may see: what is hidden from her takes nobody's place, and is named nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from indexer.domain import Scope
from indexer.ports import Access, Caller
from indexer.search.clues import Clue
from indexer.search.ranking import RankedStudy, Ranking

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
        """Up to `limit` studies, best first."""
        wanted = limit * OVERFETCH
        while True:
            ranked = self.ranking.rank(clues, scope, wanted)
            visible = self.access.visible(self.caller, [series for study in ranked for series in study.shown])
            shown = [study for study in ranked if visible.issuperset(one.archive_id for one in study.shown)]
            if len(shown) >= limit or len(ranked) < wanted or wanted >= MOST_PROBED:
                return self._without_hidden_series(shown[:limit])
            wanted *= OVERFETCH

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
