"""Cases that a caller flagged on its workstation: its next question about the same study heeds them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from indexer.answers.key_objects import Flagged
from indexer.ports import Caller
from indexer.search.question import ExampleReference


class Choosing:
    """Keeps what was flagged as long as answers can be collected, and finds the study that it is about."""

    def note(self, caller: str, flagged: Sequence[Flagged]) -> str | None:
        """Keep what is flagged of the caller's own recent cases, as they are listed to it.

        Returns:
            The Study Instance UID of the example whose answer listed them, of several the newest; None
            when none of them is a case of this caller.

        Raises:
            Unavailable: the ledger or the archive does not answer.
        """
        raise NotImplementedError

    def chosen(
        self, caller: str, study_instance_uid: str
    ) -> tuple[tuple[ExampleReference, ...], tuple[ExampleReference, ...]]:
        """The series that were flagged as more and as less alike, for this caller's question about a study.

        Raises:
            Unavailable: the ledger does not answer.
        """
        raise NotImplementedError

    def recalled(self, caller: Caller, study_instance_uid: str) -> AbstractContextManager[tuple[Path, ...]]:
        """The images of an example that the archive holds, as files that are gone afterwards.

        Raises:
            NotFound: the archive does not hold it, or the caller may not see it.
            Unavailable: the archive does not answer.
        """
        raise NotImplementedError
