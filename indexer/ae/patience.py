"""When a question's turn has come: how long its instances, its asking and its delivery are waited for."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from indexer.ae.spool import SpooledQuestion
from indexer.answers.example import ExampleInstance
from indexer.answers.key_objects import KEY_OBJECT_SELECTION


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a question waits for what.

    A question is asked `quiet_s` after its last instance once no association holds it. A sender that keeps
    its association open is waited for until `held_s` after the last instance, and nobody longer than
    `gather_s` after the first. Asking and delivering are repeated after `retry_first_s`, then twice as
    late each time up to `retry_longest_s`, and given up `give_up_s` after the question or the answer.
    """

    quiet_s: float = 1.0
    held_s: float = 30.0
    gather_s: float = 1800.0
    retry_first_s: float = 2.0
    retry_longest_s: float = 60.0
    give_up_s: float = 86_400.0

    def delay_s(self, tries: int) -> float:
        """The pause after this many tries, from 1."""
        return float(min(self.retry_first_s * 2 ** min(tries - 1, 20), self.retry_longest_s))


@dataclass(slots=True)
class OpenQuestion:
    """A question in this process; times are monotonic seconds.

    `holders` are the associations that brought instances and are still open, `writing` counts the
    instances being written at this moment, `busy` says that it is being asked or delivered. `ended` is why
    it is over: nothing is left to do but to remove it, as often as the disk needs.

    `has_example` says that there is something to ask with, images or reports, or that an earlier process
    may have seen it come; `has_selections` that key object selections came in this one. Of selections alone
    the flags are noted before it is asked: `about` is then the example that they are about, empty for none.
    """

    question: SpooledQuestion
    first_at: float
    last_at: float
    holders: set[Hashable] = field(default_factory=set)
    writing: int = 0
    busy: bool = False
    not_before: float = 0.0
    tries: int = 0
    broken: int = 0
    ended: str = ""
    has_example: bool = False
    has_selections: bool = False
    about: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Whose question it is, about which study, to which of our AE titles."""
        return self.question.caller, self.question.study_instance_uid, self.question.called

    @property
    def topic(self) -> tuple[str, str, str]:
        """Whose question it is, about which example, to which of our AE titles."""
        return self.question.caller, self.about or self.question.study_instance_uid, self.question.called

    @property
    def is_unread(self) -> bool:
        """Whether only key object selections came, and their flags are not noted yet."""
        return self.has_selections and not self.has_example and self.about is None and self.waits

    @property
    def waits(self) -> bool:
        """Whether it is still to be asked."""
        return self.question.state == "waiting" and not self.ended

    @property
    def pushes(self) -> bool:
        """Whether its answer is with its caller, and cases are still to follow."""
        return self.question.state == "pushing" and not self.ended

    def takes(self, key: tuple[str, str, str]) -> bool:
        """Whether one more instance belongs to it: not once it is being asked."""
        return self.key == key and self.waits and not self.busy

    def saw(self, instance: ExampleInstance) -> None:
        """One more instance came."""
        if instance.is_image or instance.may_tell:
            self.has_example, self.about = True, None
        elif instance.sop_class_uid == KEY_OBJECT_SELECTION:
            self.has_selections, self.about = True, None

    def waited_ms(self, now: float) -> dict[str, float]:
        """How long its instances took to come, and how long nothing came after the last."""
        return {"gathered": (self.last_at - self.first_at) * 1000, "quiet": (now - self.last_at) * 1000}

    def is_gathered(self, now: float, patience: Patience) -> bool:
        """Whether no more instances are waited for."""
        if self.writing:
            return False
        if now - self.first_at >= patience.gather_s:
            return True
        return now - self.last_at >= (patience.held_s if self.holders else patience.quiet_s)
