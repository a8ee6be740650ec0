"""The best cases of an answer on their way: what is remembered of them, and when they are called off."""

from __future__ import annotations

from collections.abc import Callable

from indexer.collecting import CalledOff, SentStudy, Watch


class CasesOnTheirWay(Watch):
    """Notes each study that is through, and ends between two instances when the service stops."""

    def __init__(self, stops: Callable[[], bool], note: Callable[[str], None]) -> None:
        """Ask `stops` before each instance; `note` takes a Study Instance UID."""
        self._stops = stops
        self._note = note

    def so_far(self, study: SentStudy) -> None:
        """Raises CalledOff when the service stops."""
        if self._stops():
            raise CalledOff("The service stops: the cases that are missing are sent after its next start.")

    def through(self, study: SentStudy) -> None:
        """Remember it, so that it is not sent again."""
        self._note(study.study_instance_uid)
