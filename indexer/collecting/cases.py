"""The cases that a caller may collect: those its own recent questions were answered with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from indexer.answers.identity import is_own_answer
from indexer.collecting.policy import Policy
from indexer.ledger import KeptAnswer, KeptCase
from indexer.ports import ArchivedSeries, ArchivedStudy, Disguise, Library, StoredInstance

DESCRIBED_AT_ONCE: Final = 16
LATELY: Final = timedelta(seconds=30)
"""What the archive said of a study is good for so long: of a click through a listing."""
MOST_REMEMBERED: Final = 2000


class KeptAnswers(Protocol):
    """What is needed of the ledger. Every call raises LedgerUnavailable when it does not answer."""

    def keep_answer(self, kept: KeptAnswer) -> None:
        """Keep what a caller was answered."""
        ...

    def answers_of(self, caller: str, since: datetime) -> list[KeptAnswer]:
        """What one caller was answered since then, the newest first."""
        ...

    def answer_to(self, question_id: str) -> KeptAnswer | None:
        """What one question was answered."""
        ...

    def forget_answers(self, before: datetime) -> int:
        """Forget the answers of questions before then."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """A match as its caller may see it.

    `shown` are attributes of its patient and study as the policy lets them be seen; `disguise` is what a
    copy of it is called, None where it is sent as it is. `patient` is equal for the cases that a listing
    shows as one patient's.
    """

    kept: KeptCase
    study: ArchivedStudy
    shown: Mapping[str, str]
    disguise: Disguise | None
    patient: str

    def uid(self, uid: str) -> str:
        """A UID of this study as it is listed: the one that a copy of it will have."""
        return uid if self.disguise is None else self.disguise.uid(uid)

    @property
    def series(self) -> tuple[ArchivedSeries, ...]:
        """The series, the one that carried the match first."""
        return tuple(sorted(self.study.series, key=lambda s: s.archive_id != self.kept.archive_id))


class Cases:
    """Finds the cases of a caller's recent questions, and never those of another caller's."""

    def __init__(
        self,
        answers: KeptAnswers,
        library: Library,
        policy: Policy,
        *,
        kept_for_s: float = 86_400.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what was answered and the archive; an answer is good for `kept_for_s` seconds."""
        self._answers = answers
        self._library = library
        self._policy = policy
        self._kept_for = timedelta(seconds=kept_for_s)
        self._now = now
        self._lock = threading.Lock()
        self._lately: dict[str, tuple[datetime, ArchivedStudy | None]] = {}

    @property
    def shows_the_archives(self) -> bool:
        """Whether what the archive says of a patient and a series may be shown."""
        return self._policy.shows_the_archives

    def last_answer(self, caller: str, called: str = "") -> KeptAnswer | None:
        """The answer to the caller's last question; None when there is none, or it is too old.

        `called` is the AE title of ours that it was sent to; empty for whichever.
        """
        answers = self._answers.answers_of(caller, self._since())
        return next((answer for answer in answers if called in ("", answer.called)), None)

    def of_answer(self, answer: KeptAnswer, limit: int | None = None) -> tuple[Case, ...]:
        """The cases of one answer that the archive still has, in rank order."""
        return tuple(self._described(answer.cases[:limit]))

    def recent(
        self,
        caller: str,
        studies: Collection[str] = (),
        *,
        may_match: Callable[[KeptCase], bool] = lambda _: True,
        called_off: Callable[[], bool] = lambda: False,
    ) -> Iterator[Case]:
        """The cases of every recent question of a caller, those of the last one first, each once.

        The archive is asked about a few at a time, when the next one is wanted.

        Args:
            caller: its AE title.
            studies: Study Instance UIDs as they are listed; only these, or all when there is none.
            may_match: whether a case can be wanted, as far as it is known without the archive.
            called_off: whether the caller has had enough; no more come then.
        """
        kept: dict[tuple[str, str], KeptCase] = {}
        for answer in self._answers.answers_of(caller, self._since()):
            for case in answer.cases:
                if not studies or self._is_listed(case.study_instance_uid, studies):
                    kept.setdefault((case.study_instance_uid, case.archive_id), case)
        wanted = {case.study_instance_uid for case in kept.values() if may_match(case)}
        asked_for = [case for case in kept.values() if case.study_instance_uid in wanted]
        return self._described(asked_for, called_off)

    def instances(self, series: ArchivedSeries) -> tuple[StoredInstance, ...]:
        """The instances of a series of a case, by their number."""
        return self._library.instances_of(series.archive_id)

    def sop_classes(self, instances: Sequence[StoredInstance]) -> Mapping[str, str]:
        """The SOP Class UIDs of these, by the archive id of the instance; what is gone is left out."""
        return {i: coding.sop_class_uid for i, coding in self._library.codings(instances).items()}

    def sweep(self) -> int:
        """Forget the answers that are too old to be collected; gives their count."""
        return self._answers.forget_answers(self._since())

    def _since(self) -> datetime:
        return self._now() - self._kept_for

    def _is_listed(self, study_instance_uid: str, listed: Collection[str]) -> bool:
        """Whether one of these UIDs is that of the study, as it is or as a copy has it."""
        return study_instance_uid in listed or self._policy.pseudonyms.uid(study_instance_uid) in listed

    def _described(
        self, kept: Sequence[KeptCase], called_off: Callable[[], bool] = lambda: False
    ) -> Iterator[Case]:
        """Without those that the archive no longer has, and without one study twice."""
        described: set[tuple[str, str]] = set()
        for start in range(0, len(kept), DESCRIBED_AT_ONCE):
            some = kept[start : start + DESCRIBED_AT_ONCE]
            studies = {} if called_off() else self._studies([case.archive_id for case in some])
            for case in some:
                if called_off():
                    return
                study = studies.get(case.archive_id)
                if study is None:
                    continue
                whose = (study.study_instance_uid, study.attributes.get("PatientID", ""))
                if whose not in described:
                    described.add(whose)
                    yield self._case(case, without_our_answers(study))

    def _studies(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        """The studies of these series; the archive is not asked again what it said a moment ago."""
        now = self._now()
        with self._lock:
            lately = {i: said for i, said in self._lately.items() if now - said[0] < LATELY}
        missing = [i for i in archive_ids if i not in lately]
        found = self._library.studies_holding(missing) if missing else {}
        lately |= {i: (now, found.get(i)) for i in missing}
        with self._lock:
            self._lately = dict(list(lately.items())[-MOST_REMEMBERED:])
        return {i: study for i in archive_ids if (study := lately[i][1]) is not None}

    def _case(self, kept: KeptCase, study: ArchivedStudy) -> Case:
        disguise = self._policy.disguise(study)
        shown = self._policy.shown(study, kept.rank, disguise)
        return Case(kept, study, shown, disguise, self._policy.listed_patient(study))


def without_our_answers(study: ArchivedStudy) -> ArchivedStudy:
    """A study without the reports and sheets of ours that are filed in it: they name other cases."""
    return replace(study, series=tuple(s for s in study.series if not is_own_answer(s.manufacturer)))
