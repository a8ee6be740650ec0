"""Cases that a caller flagged on its workstation: its next question about the same study heeds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from indexer.answers.example import REPORT_MODALITIES
from indexer.answers.key_objects import Flagged
from indexer.collecting.cases import Case, Cases
from indexer.collecting.recalling import AsSent, Recalling
from indexer.ledger import KeptAnswer, KeptFlag, SeriesRow, State
from indexer.line_up import DOCUMENTS, REFUSED
from indexer.ports import Caller
from indexer.search.question import MAX_CHOSEN, ExampleReference

MOST_FLAGS: Final = 3 * MAX_CHOSEN
"""Flags of one question that are looked through: of those that are newest some may be gone by now."""
_LOOKED_AT_AGAIN: Final = frozenset({State.WAITING, State.LEASED})


class KeptFlags(Protocol):
    """What is needed of the ledger. Every call raises LedgerUnavailable when it does not answer."""

    def answers_of(self, caller: str, since: datetime) -> list[KeptAnswer]:
        """What one caller was answered since then, the newest first."""
        ...

    def keep_flags(self, flagged: Sequence[KeptFlag]) -> None:
        """Keep what a caller flagged, each in place of what it said of the same series before."""
        ...

    def flags_of(self, caller: str, study_instance_uid: str, since: datetime, limit: int) -> list[KeptFlag]:
        """What one caller flagged since then for its question about a study, the newest first."""
        ...

    def find(
        self, *, study_instance_uid: str | None = None, series_instance_uid: str | None = None
    ) -> list[SeriesRow]:
        """The series of a study, or of a UID."""
        ...


@dataclass(frozen=True, slots=True)
class Choosing:
    """Keeps what was flagged as long as answers can be collected, and finds the study that it is about.

    Attributes:
        kept: the ledger.
        cases: the caller's recent cases, as they are listed to it.
        recalling: takes examples out of the archive.
        kept_for_s: how long an answer can be collected, and a flag is heeded.
        now: the time.
    """

    kept: KeptFlags
    cases: Cases
    recalling: Recalling
    kept_for_s: float = 86_400.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def note(
        self, caller: str, flagged: Sequence[Flagged], filed_in: str = "", came: datetime | None = None
    ) -> str | None:
        """Keep what is flagged of the caller's own recent cases, as they are listed to it.

        A series that cannot be told apart, or holds no images that are indexed, stands for the one that
        carried the match. "none" takes back what was flagged of any series of the case, if anything was;
        that it was taken back is kept as well, so that to say it again is no other thing to say.

        Args:
            caller: its AE title.
            flagged: the last word last.
            filed_in: the study that the flags came in: where that is an example, they are about it.
            came: when: what was flagged later stands, whichever is noted first; now, where nothing
                is said.

        Returns:
            The Study Instance UID of the example whose answer listed them, of several the newest; None
            when none of them is a case of this caller, or nothing was to be taken back.

        Raises:
            Unavailable: the ledger or the archive does not answer.
        """
        if not flagged:
            return None
        answers = self.kept.answers_of(caller, self._since())
        answers.sort(key=lambda answer: answer.study_instance_uid != filed_in)
        listed = self._listed(caller, flagged)
        came, kept, about = came or self.now(), list[KeptFlag](), set[int]()
        for place, one in enumerate(flagged):
            case = listed.get(one.study_instance_uid)
            if case is None:
                continue
            for which, answer in _listing(answers, case):
                example = answer.study_instance_uid
                series = {self._series(case, one)}
                if one.flag == "none":
                    series = self._flagged_of(case, caller, example, kept)
                if series:
                    at = came + timedelta(microseconds=place)
                    kept += [KeptFlag(caller, example, uid, one.flag, at) for uid in sorted(series)]
                    about.add(which)
                    break
        self.kept.keep_flags(kept)
        return answers[min(about)].study_instance_uid if about else None

    def chosen(
        self, caller: str, study_instance_uid: str
    ) -> tuple[tuple[ExampleReference, ...], tuple[ExampleReference, ...]]:
        """The series that were flagged as more and as less alike, for this caller's question about a study.

        The newest, as many as a question may have, of those that are indexed; whether what is searched holds
        them only the search knows: it leaves out what it cannot compare (`Question.leaves_out_absent`).

        Raises:
            Unavailable: the ledger does not answer.
        """
        flags = self.kept.flags_of(caller, study_instance_uid, self._since(), MOST_FLAGS)
        held = [f for f in flags if f.flag != "none" and self._is_held(f.series_instance_uid)][:MAX_CHOSEN]
        more, less = (
            tuple(ExampleReference(series_instance_uid=f.series_instance_uid) for f in held if f.flag == said)
            for said in ("more", "less")
        )
        return more, less

    def last_flagged_at(self, caller: str, study_instance_uid: str) -> datetime | None:
        """When this caller flagged anything last for its question about a study; None where it did not.

        Raises:
            Unavailable: the ledger does not answer.
        """
        newest = self.kept.flags_of(caller, study_instance_uid, self._since(), 1)
        return newest[0].flagged_at if newest else None

    def recalled(self, caller: Caller, study_instance_uid: str) -> AbstractContextManager[tuple[Path, ...]]:
        """The images of an example that the archive holds, as files that are gone afterwards.

        Only those of a study that this caller has sent: of that patient, with the images that were compared.

        Raises:
            NotFound: the archive does not hold it, or the caller may not see it.
            Unavailable: the archive does not answer.
        """
        answers = self.kept.answers_of(caller.name, self._since())
        sent = {
            AsSent(answer.patient, frozenset(answer.instances))
            for answer in answers
            if answer.study_instance_uid == study_instance_uid and answer.patient and answer.instances
        }
        return self.recalling.files(caller, study_instance_uid, sent)

    def _since(self) -> datetime:
        return self.now() - timedelta(seconds=self.kept_for_s)

    def _listed(self, caller: str, flagged: Sequence[Flagged]) -> Mapping[str, Case]:
        """The cases of the flagged studies, by their Study Instance UIDs as they are listed."""
        studies = {one.study_instance_uid for one in flagged}
        recent = self.cases.recent(caller, studies)
        listed: dict[str, Case] = {}
        for case in recent:
            listed.setdefault(case.uid(case.study.study_instance_uid), case)
        return listed

    def _series(self, case: Case, one: Flagged) -> str:
        named = [
            series.series_instance_uid
            for series in case.study.series
            if case.uid(series.series_instance_uid) == one.series_instance_uid
            and series.modality not in REPORT_MODALITIES | DOCUMENTS
            and self._is_held(series.series_instance_uid)
        ]
        return named[0] if len(named) == 1 else case.kept.series_instance_uid

    def _flagged_of(
        self, case: Case, caller: str, study_instance_uid: str, noted: Sequence[KeptFlag]
    ) -> set[str]:
        """The series of a case that were flagged for a question, a moment ago too, taken back or not."""
        own = {case.kept.series_instance_uid, *(one.series_instance_uid for one in case.study.series)}
        flags = [
            *self.kept.flags_of(caller, study_instance_uid, self._since(), MOST_FLAGS),
            *(flag for flag in noted if flag.study_instance_uid == study_instance_uid),
        ]
        return own & {flag.series_instance_uid for flag in flags}

    def _is_held(self, series_instance_uid: str) -> bool:
        """Whether it has vectors, or is looked at again while it has them."""
        rows = self.kept.find(series_instance_uid=series_instance_uid)
        return any(row.state is State.INDEXED or _is_looked_at_again(row) for row in rows)


def _is_looked_at_again(row: SeriesRow) -> bool:
    made = row.encoder is not None and row.encoder != "" and not row.encoder.startswith(REFUSED)
    return made and row.state in _LOOKED_AT_AGAIN


def _listing(answers: Sequence[KeptAnswer], case: Case) -> Iterator[tuple[int, KeptAnswer]]:
    """The answers that list a case, with their places."""
    whose = case.kept.study_instance_uid, case.kept.archive_id
    for place, answer in enumerate(answers):
        if any((one.study_instance_uid, one.archive_id) == whose for one in answer.cases):
            yield place, answer
