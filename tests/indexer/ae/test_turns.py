"""Whose turn it is, of questions that are asked, answered and pushed at the same time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.ae.patience import OpenQuestion, Patience
from indexer.ae.spool import SpooledQuestion, State
from indexer.ae.turns import ASKERS, DELIVERERS, PUSHERS, due
from indexer.answers.example import ExampleInstance
from indexer.answers.key_objects import KEY_OBJECT_SELECTION
from tests.fakes.answers import uid

NOW = 1000.0
PATIENCE = Patience(quiet_s=1.0, held_s=30.0, gather_s=300.0)
E = uid("the example")


def question(
    study: str = "asked",
    caller: str = "WS1",
    *,
    called: str = "",
    state: State = "waiting",
    ago_s: float = 2.0,
) -> OpenQuestion:
    """A question whose instances came some seconds ago in an association that is over."""
    spooled = SpooledQuestion(f"{caller}-{study}", caller, f"{caller}=h:1", uid(study), 0.0, state=state)
    return OpenQuestion(replace(spooled, called=called), first_at=NOW - ago_s, last_at=NOW - ago_s)


def flags(study: str, *, about: str | None = None, caller: str = "WS1", ago_s: float = 2.0) -> OpenQuestion:
    """Key object selections alone; once they are noted, about an example or none."""
    opened = question(study, caller, ago_s=ago_s)
    opened.saw(came(study, "KO", KEY_OBJECT_SELECTION))
    opened.about = about
    return opened


def came(
    study: str, modality: str = "CT", sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.2"
) -> ExampleInstance:
    return ExampleInstance(
        uid(study), uid(study, "1"), sop_class_uid, uid(study, "1", "1"), modality, "Maker"
    )


def turns(*questions: OpenQuestion) -> list[OpenQuestion]:
    return due(questions, PATIENCE, NOW)


def test_a_question_is_asked_when_nothing_more_comes() -> None:
    quiet, held, written, later = question("a"), question("b"), question("c"), question("d")
    held.holders.add("association")
    written.writing = 1
    later.not_before = NOW + 1
    assert turns(quiet, held, written, later, question("e", ago_s=0.5)) == [quiet]


def test_an_open_association_is_waited_for_only_so_long() -> None:
    silent, endless = question("a", ago_s=31), question("b", ago_s=301)
    endless.last_at = NOW
    for opened in (silent, endless):
        opened.holders.add("association")
    assert turns(silent, endless) == [silent, endless]


def test_one_question_about_an_example_of_a_caller_is_asked_at_a_time() -> None:
    asking, again, elsewhere = question("a"), question("a"), question("a", "WS2")
    asking.busy = True
    assert turns(asking, again, elsewhere) == [elsewhere]
    asking.busy = False
    assert turns(asking, again, elsewhere) == [asking, elsewhere]


def test_the_example_that_flags_are_about_is_not_asked_about_twice_at_once() -> None:
    asking, noted = question("the example"), flags("case", about=E)
    asking.busy = True
    assert turns(asking, noted) == []
    assert turns(noted) == [noted]


def test_no_more_are_asked_answered_or_pushed_at_once_than_may_be() -> None:
    many = [question(f"s{number}", f"WS{number}") for number in range(9)]
    assert turns(*many) == many[:ASKERS]
    many = [question(f"s{number}", f"WS{number}", state="answered") for number in range(9)]
    assert turns(*many) == many[:DELIVERERS]
    many = [question(f"s{number}", f"WS{number}", state="pushing") for number in range(9)]
    assert turns(*many) == many[:PUSHERS]


def test_a_caller_gets_one_answer_and_one_set_of_cases_at_a_time() -> None:
    first, second = question("a", state="answered"), question("b", state="answered")
    pushed, next_pushed = question("c", state="pushing"), question("d", state="pushing")
    assert turns(first, second, pushed, next_pushed) == [first, pushed]


def test_of_flags_about_one_example_the_last_is_asked() -> None:
    first, other, last = flags("one", about=E), flags("two", about=uid("other")), flags("three", about=E)
    assert turns(first, other, last) == [first, other, last], "the first to be removed"
    assert (first.ended, other.ended, last.ended) == ("noted", "", "")


def test_flags_wait_until_those_of_the_same_caller_are_noted() -> None:
    noted, unread = flags("one", about=E), flags("two", ago_s=0.5)
    assert turns(noted, unread) == []
    assert turns(noted, flags("two", caller="WS2", ago_s=0.5)) == [noted]
    assert turns(noted, flags("two", about="", ago_s=0.5)) == [noted]


@pytest.mark.parametrize("joined", [came("one"), came("one", "SR", "1.2.840.10008.5.1.4.1.1.88.11")])
def test_what_more_than_flags_came_for_is_never_left_to_another(joined: ExampleInstance) -> None:
    """Images and reports that were acknowledged are asked with, whenever they came."""
    first, last = flags("one", about=E), flags("two", about=E)
    first.saw(joined)
    assert not first.is_unread
    assert turns(first, last) == [first, last]
    assert (first.ended, last.ended) == ("", "")


def test_flags_are_not_left_to_others_while_an_instance_is_written() -> None:
    first, last = flags("one", about=E), flags("two", about=E)
    first.writing = 1
    assert turns(first, last) == [last]
    assert first.ended == ""


def test_a_selection_that_joins_noted_ones_is_noted_too() -> None:
    opened = flags("one", about=E)
    opened.saw(came("one", "KO", KEY_OBJECT_SELECTION))
    assert opened.is_unread


def test_what_joins_images_is_noted_when_they_are_asked_about() -> None:
    opened = question("one")
    opened.saw(came("one"))
    opened.saw(came("one", "KO", KEY_OBJECT_SELECTION))
    assert not opened.is_unread
