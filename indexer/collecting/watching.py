"""Following a sending while it goes on: how far it is, and calling it off."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.errors import Unavailable


class CalledOff(Unavailable):
    """A sending ends here; what is missing is sent another time."""

    reason = "called_off"


@dataclass(frozen=True, slots=True)
class SentStudy:
    """How many instances of a study arrived, and how many did not."""

    study_instance_uid: str
    sent: int
    failed: int


class Watch:
    """Nobody: a sending that is followed tells a subclass."""

    def so_far(self, study: SentStudy) -> None:
        """Told before the first instance of a study and after each; may raise CalledOff."""

    def through(self, study: SentStudy) -> None:
        """Told when every instance of a study arrived or failed."""
