"""What a caller flags among its own cases refines its question; nobody else's case is ever found by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.answers.key_objects import Flag, Flagged
from indexer.errors import NotFound
from indexer.ledger import Notice, Priority
from indexer.ports import Caller
from indexer.search.question import MAX_CHOSEN, ExampleReference
from tests.fakes.answers import instance, uid, write
from tests.fakes.collected import EXAMPLE, PSEUDONYMS, Collected, collected


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    """Cases of two series each, of which the first carried the match; all of them are indexed."""
    with collected(tmp_path) as house:
        for name in ("one", "two", "three"):
            house.prior(name, series=2)
            house.index(name, "1")
            house.index(name, "2")
        yield house


def flagged(flag: Flag, study: str, series: str = "1") -> Flagged:
    return Flagged(flag, uid(study), uid(study, series))


def series(*named: tuple[str, str]) -> tuple[ExampleReference, ...]:
    return tuple(ExampleReference(series_instance_uid=uid(*one)) for one in named)


def test_a_flag_on_a_case_is_heeded_for_the_example_that_it_answered(house: Collected) -> None:
    house.answered("WS1", "one", "two")
    room = house.choosing()
    about = room.note("WS1", [flagged("more", "one", "2"), flagged("less", "two", "1")])
    assert about == uid(EXAMPLE)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("one", "2")), series(("two", "1")))
    assert room.chosen("WS1", uid("another example")) == ((), ())


def test_flags_add_up_and_what_is_flagged_the_other_way_changes_sides(house: Collected) -> None:
    house.answered("WS1", "one", "two")
    room = house.choosing()
    room.note("WS1", [flagged("more", "one"), flagged("more", "two")])
    house.now += timedelta(seconds=1)
    room.note("WS1", [flagged("less", "one")])
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), series(("one", "1")))


@pytest.mark.parametrize("series_of_it", ["1", "2", "unknown"])
def test_what_was_flagged_of_a_case_is_taken_back_by_any_image_of_it(
    house: Collected, series_of_it: str
) -> None:
    house.answered("WS1", "one", "two")
    room = house.choosing()
    room.note("WS1", [flagged("more", "one", "1"), flagged("less", "one", "2"), flagged("more", "two")])
    house.now += timedelta(seconds=1)
    back = [flagged("none", "one", series_of_it)]
    assert room.note("WS1", back) == uid(EXAMPLE)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), ())
    house.now += timedelta(seconds=1)
    assert room.note("WS1", back) == uid(EXAMPLE), "a question that is asked twice is about the same example"
    room.note("WS1", [flagged("less", "one", "1")])
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), series(("one", "1")))


def test_where_nothing_was_flagged_nothing_is_taken_back(house: Collected) -> None:
    house.answered("WS1", "one", "two")
    house.answered("WS2", "one")
    room = house.choosing()
    room.note("WS2", [flagged("more", "one")])
    room.note("WS1", [flagged("more", "two")])
    assert room.note("WS1", [flagged("none", "one")]) is None
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), ())
    assert room.chosen("WS2", uid(EXAMPLE)) == (series(("one", "1")), ())


def test_a_flag_is_taken_back_from_the_question_that_it_was_about(house: Collected) -> None:
    """A refined answer does not list the case, and an answer to another question may."""
    house.answered("WS1", "one", study_instance_uid=uid("first"))
    room = house.choosing()
    room.note("WS1", [flagged("more", "one")])
    house.answered("WS1", "two", study_instance_uid=uid("first"))
    house.answered("WS1", "one", study_instance_uid=uid("second"))
    assert room.note("WS1", [flagged("none", "one")]) == uid("first")
    assert room.chosen("WS1", uid("first")) == ((), ())


def test_a_flag_and_its_taking_back_may_come_together(house: Collected) -> None:
    house.answered("WS1", "one")
    room = house.choosing()
    together = [flagged("more", "one", "1"), flagged("none", "one", "2")]
    assert room.note("WS1", together) == room.note("WS1", together) == uid(EXAMPLE)
    assert room.chosen("WS1", uid(EXAMPLE)) == ((), ())


def test_what_was_taken_back_takes_no_place_of_what_is_flagged(house: Collected) -> None:
    house.answered("WS1", "one", "two")
    room = house.choosing()
    room.note("WS1", [flagged("more", "one")])
    others = [f"case {number}" for number in range(MAX_CHOSEN)]
    for name in others:
        house.prior(name, instances=1)
        house.index(name)
        house.answered("WS1", name)
        room.note("WS1", [flagged("more", name)])
        house.now += timedelta(seconds=1)
        room.note("WS1", [flagged("none", name)])
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("one", "1")), ())


def test_what_came_later_stands_whichever_is_noted_first(house: Collected) -> None:
    house.answered("WS1", "one")
    room = house.choosing()
    came, later = house.now, house.now + timedelta(seconds=1)
    house.now += timedelta(seconds=2)
    assert room.last_flagged_at("WS1", uid(EXAMPLE)) is None
    room.note("WS1", [flagged("less", "one")], came=later)
    room.note("WS1", [flagged("more", "one")], came=came)
    assert room.chosen("WS1", uid(EXAMPLE)) == ((), series(("one", "1")))
    assert room.last_flagged_at("WS1", uid(EXAMPLE)) == later
    assert room.last_flagged_at("WS2", uid(EXAMPLE)) is None


def test_a_copys_uids_are_found_again(house: Collected) -> None:
    """Of a case that is listed under other UIDs than its own, only those are known to the caller."""
    house.answered("WS1", "one", "two")
    room = house.choosing("always")
    copy = Flagged("more", PSEUDONYMS.uid(uid("one")), PSEUDONYMS.uid(uid("one", "2")))
    assert room.note("WS1", [flagged("more", "two", "1")]) is None
    assert room.note("WS1", [copy]) == uid(EXAMPLE)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("one", "2")), ())


@pytest.mark.parametrize("which", ["unknown", "skipped"])
def test_a_series_that_cannot_be_compared_stands_for_the_one_that_carried_the_match(
    house: Collected, which: str
) -> None:
    house.answered("WS1", "one")
    house.index("one", "2", skipped=True)
    room = house.choosing()
    room.note("WS1", [flagged("less", "one", "9" if which == "unknown" else "2")])
    assert room.chosen("WS1", uid(EXAMPLE)) == ((), series(("one", "1")))


def test_a_case_of_another_caller_is_not_flagged_found_or_told_of(house: Collected) -> None:
    house.answered("WS1", "one")
    house.answered("WS2", "two")
    room = house.choosing()
    assert room.note("WS1", [flagged("more", "two")]) is None
    assert room.note("WS1", [flagged("more", "no such study")]) is None
    assert room.note("WS1", [flagged("more", "two"), flagged("more", "one")]) == uid(EXAMPLE)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("one", "1")), ())
    assert room.chosen("WS2", uid(EXAMPLE)) == ((), ())


def test_flags_are_about_the_newest_question_that_the_case_answered(house: Collected) -> None:
    house.answered("WS1", "one", "two", study_instance_uid=uid("first"))
    house.answered("WS1", "two", "three", study_instance_uid=uid("second"))
    room = house.choosing()
    assert room.note("WS1", [flagged("more", "one")]) == uid("first")
    assert room.note("WS1", [flagged("more", "two"), flagged("less", "one")]) == uid("second")
    assert room.chosen("WS1", uid("second")) == (series(("two", "1")), ())
    assert room.chosen("WS1", uid("first")) == ((), series(("one", "1")))


def test_a_key_object_that_is_filed_in_an_example_is_about_that_one(house: Collected) -> None:
    house.answered("WS1", "one", study_instance_uid=uid("first"))
    house.answered("WS1", "one", study_instance_uid=uid("second"))
    room = house.choosing()
    assert room.note("WS1", [flagged("more", "one")], uid("first")) == uid("first")
    assert room.chosen("WS1", uid("second")) == ((), ())


def test_only_as_many_of_the_newest_are_heeded_as_can_be_asked_with(house: Collected) -> None:
    names = [f"case {number}" for number in range(MAX_CHOSEN + 3)]
    for name in names:
        house.prior(name, instances=1)
        house.index(name, "1")
    room = house.choosing()
    for name in names:
        house.answered("WS1", name)
        room.note("WS1", [flagged("more", name)])
    more, less = room.chosen("WS1", uid(EXAMPLE))
    assert less == ()
    assert set(more) == set(series(*((name, "1") for name in names[3:])))


def test_what_can_no_longer_be_compared_is_not_asked_with(house: Collected) -> None:
    house.answered("WS1", "one", "two")
    room = house.choosing()
    room.note("WS1", [flagged("more", "one"), flagged("more", "two")])
    house.index("one", "1", skipped=True)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), ())
    reference = f"{uid('two')}/{uid('two', '1')}"
    house.ledger.notice([Notice(reference, "folder", Priority.CHANGED)], house.now)
    assert room.chosen("WS1", uid(EXAMPLE)) == (series(("two", "1")), ()), "looked at again, still found"


def test_flags_are_forgotten_when_answers_are(house: Collected) -> None:
    house.answered("WS1", "one")
    room = house.choosing()
    room.note("WS1", [flagged("more", "one")])
    house.now += timedelta(seconds=3599)
    assert room.chosen("WS1", uid(EXAMPLE)) != ((), ())
    house.now += timedelta(seconds=2)
    assert room.chosen("WS1", uid(EXAMPLE)) == ((), ())
    assert room.note("WS1", [flagged("more", "one")]) is None
    house.cases().sweep()
    assert house.ledger.flags_of("WS1", uid(EXAMPLE), house.now - timedelta(days=9), 20) == []


def test_an_example_is_recalled_only_for_who_sent_its_images_as_that_patients(house: Collected) -> None:
    """Whoever only writes the UIDs of a study and its patient into a file of hers does not get to see it."""
    house.prior(EXAMPLE)
    room = house.choosing()
    own, images = PSEUDONYMS.of("", f"PRIOR-{EXAMPLE}") or "", (uid(EXAMPLE, "1", "1"),)
    house.answered("WS1", "one", patient=own, instances=images)
    house.answered("WS2", "one", patient=PSEUDONYMS.of("", "somebody else") or "", instances=images)
    house.answered("WS3", "one", instances=images)
    house.answered("WS4", "one", patient=own, instances=(uid("an invented image"),))
    house.answered("WS5", "one", patient=own, instances=(*images, uid("an invented image")))
    house.answered("WS6", "one", patient=own)
    with room.recalled(Caller("WS1"), uid(EXAMPLE)) as paths:
        assert len(paths) == 2
    for caller in ("WS2", "WS3", "WS4", "WS5", "WS6", "WS7"):
        with pytest.raises(NotFound), room.recalled(Caller(caller), uid(EXAMPLE)):
            pass


def test_an_example_that_the_archive_does_not_hold_is_not_recalled(house: Collected) -> None:

    house.answered("WS1", "one", patient="key:hash", instances=(uid(EXAMPLE, "1", "1"),))
    write(house.folder / "priors" / "report", instance(EXAMPLE, Modality="SR"))
    with pytest.raises(NotFound), house.choosing().recalled(Caller("WS1"), uid(EXAMPLE)):
        pass
