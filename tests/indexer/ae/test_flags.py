"""Key objects that a caller sends about its cases refine its question: now, or when it asks again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from indexer.adapters.folder import FolderArchive
from indexer.adapters.folder.library import FolderLibrary
from indexer.ae.answering import Answering
from indexer.ae.documents import Documents, Said
from indexer.ae.patience import Patience
from indexer.ae.preset import Preset
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.ae.timing import Split
from indexer.answers.example import read_instance
from indexer.collecting import Keeping, Policy, Sending
from indexer.destinations import Destination
from indexer.domain import Answer, SeriesReference
from indexer.errors import ArchiveUnavailable, NotFound
from indexer.ports import ArchivedStudy, Caller
from indexer.search import Question
from indexer.search.question import ExampleReference
from tests.fakes.answers import PATIENT_ID, answer_about, instance, uid, write
from tests.fakes.collected import PSEUDONYMS, Collected, collected
from tests.fakes.key_objects import key_object
from tests.fakes.library import FakeCarrier
from tests.fakes.reports import report
from tests.fakes.workstation import wait_until

WS1 = Destination.parse("WS1=localhost:104")
WS2 = Destination.parse("WS2=localhost:105")
QUICK = Patience(quiet_s=0.15, retry_first_s=0.05, retry_longest_s=0.1)
INTEREST, REJECTED, FOR_TEACHING = "113000", "113001", "113004"
CASES = ("one", "two", "three")
WORDS = Preset("CBIR_WORDS", reads_reports=True)


class Unsteady(FolderLibrary):
    """A library that does not answer while it is `down`, and fails us while it is `broken`."""

    down = broken = False

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        if self.broken:
            raise RuntimeError("A fault of ours.")
        if self.down:
            raise ArchiveUnavailable("The archive does not answer.")
        return super().studies_holding(archive_ids)


class Misfiled(Documents):
    """Documents that cannot be written of an answer that was refined."""

    def of(self, said: Said, split: Split) -> tuple[Dataset, ...]:
        if said.question is not None and said.question.more:
            raise NotFound("Something that is wanted for a document is not there.")
        return Documents.of(self, said, split)


class Room:
    """Questions that are answered with the cases of a house, and what was asked for each."""

    def __init__(self, house: Collected) -> None:
        self.house = house
        self.library = Unsteady(house.folder / "priors", FolderArchive(house.folder / "priors"))
        self.asked: list[tuple[str, Question]] = []
        self.delivered: list[tuple[str, Dataset]] = []
        self.somebodys = write(house.folder / "somebodys", instance("somebody"))
        self.documents: Documents = Documents(forms=("report",))
        self.gate = threading.Event()
        self.gate.set()
        self.questions = self._made()

    def _made(self) -> Questions:
        house, archive = self.house, FolderArchive(self.house.folder / "priors")
        policy, cases = Policy(PSEUDONYMS), house.cases()
        sending = Sending(
            archive=archive,
            library=self.library,
            access=archive,
            policy=policy,
            shipping=house.shipping(),
            carrier=FakeCarrier(),
            destinations=(WS1,),
        )
        choosing = house.choosing(library=self.library)
        return Questions(
            spool=Spool(house.folder / "questions"),
            answering=Answering(self, documents=self.documents, choosing=choosing),
            deliver=self._deliver,
            callers=(WS1, WS2),
            presets=(Preset("CBIR_FEW", limit=2), WORDS),
            patience=QUICK,
            keeping=Keeping(house.ledger, cases, sending),
        )

    def similar(self, question: Question, caller: Caller) -> Answer:
        """The cases, found for the patient of every example."""
        self.asked.append((caller.name, question))
        assert self.gate.wait(120)
        images = question.example if isinstance(question.example, tuple) else ()
        answer = answer_about(images or self.somebodys, matches=len(CASES))
        [example] = answer.example
        patient = replace(example.attributes, patient=PSEUDONYMS.of("", PATIENT_ID))
        cases = [self.house.priors[name] for name in CASES]
        matches = tuple(
            replace(
                match,
                reference=SeriesReference(case.study_instance_uid, case.series_instance_uid, case.archive_id),
            )
            for match, case in zip(answer.matches, cases, strict=True)
        )
        return replace(
            answer,
            example=(replace(example, attributes=patient),) if images else (),
            matches=matches,
            more=tuple(as_reference(one) for one in question.more),
            less=tuple(as_reference(one) for one in question.less),
        )

    def _deliver(self, destination: Destination, paths: Sequence[Path]) -> None:
        self.delivered += [(destination.ae_title, pydicom.dcmread(path)) for path in paths]

    def send(self, *datasets: Dataset, caller: Destination = WS1, called: str = "") -> None:
        """Send instances in one association, and wait until nothing is left to do."""
        self.bring(*datasets, caller=caller, called=called)
        wait_until(self.is_done)

    def bring(self, *datasets: Dataset, caller: Destination = WS1, called: str = "") -> None:
        self.hold("a", *datasets, caller=caller, called=called)
        self.questions.let_go("a")

    def hold(self, association: str, *datasets: Dataset, caller: Destination = WS1, called: str = "") -> None:
        """Send instances in an association that stays open."""
        for dataset in datasets:
            buffer = BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            content = buffer.getvalue()
            self.questions.receive(association, caller, read_instance(BytesIO(content)), content, called)

    def is_done(self) -> bool:
        return len(self.questions) == 0

    def restart(self, before_any_turn: Callable[[], None] = lambda: None) -> None:
        """Stop and start; nothing is asked until `before_any_turn` is through."""
        self.questions.stop()
        self.questions = self._made()
        with self.questions._register.changed:
            self.questions.start()
            before_any_turn()

    def is_noted(self, study: str) -> bool:
        """Whether the flags of an open question are noted, and it waits."""
        register = self.questions._register
        with register.changed:
            found = [opened for opened in register if opened.question.study_instance_uid == uid(study)]
            return any(opened.about and not opened.busy for opened in found)

    @property
    def chosen(self) -> tuple[set[str], set[str]]:
        """The cases that the last question was refined with."""
        _, question = self.asked[-1]
        return named(question.more), named(question.less)


def named(references: Sequence[ExampleReference]) -> set[str]:
    return {name for name in CASES for one in references if one.series_instance_uid == uid(name, "1")}


def as_reference(chosen: ExampleReference) -> SeriesReference:
    return SeriesReference("1.2", chosen.series_instance_uid or "", "")


def outcome(report: Dataset) -> str:
    return str(report.ContentSequence[-1].ContentSequence[0].ConceptCodeSequence[0].CodeValue)


def comment(report: Dataset) -> str:
    """Why a question was refused."""
    said = (item.get("TextValue", "") for item in report.ContentSequence[-1].ContentSequence)
    return " ".join(map(str, said))


def selected(name: str, title: str = INTEREST) -> Dataset:
    """As a workstation makes it of an image of a case that it collected."""
    return key_object([instance(name)], title)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        house.now = datetime.now(UTC)
        for name in CASES:
            house.prior(name)
            house.index(name)
        yield house


@pytest.fixture
def room(house: Collected) -> Iterator[Room]:
    """A caller asked about a study that the archive does not hold."""
    room = Room(house)
    room.questions.start()
    room.send(instance("asked"))
    yield room
    room.gate.set()
    room.questions.stop()


@pytest.fixture
def archived(house: Collected, room: Room) -> Room:
    """One that the archive does hold, with a second image."""
    house.prior("asked", PatientID=PATIENT_ID)
    room.library = Unsteady(house.folder / "priors", FolderArchive(house.folder / "priors"))
    room.restart()
    return room


def test_a_flag_asks_again_about_the_example_that_the_archive_holds(archived: Room) -> None:
    archived.send(selected("one"))
    assert archived.chosen == ({"one"}, set())
    (_, first), (caller, refined) = archived.delivered
    assert (caller, refined.StudyInstanceUID, refined.PatientID) == ("WS1", uid("asked"), PATIENT_ID)
    assert outcome(refined) == "found"
    assert refined.SOPInstanceUID != first.SOPInstanceUID
    answers = archived.house.ledger.answers_of("WS1", datetime(2026, 1, 1, tzinfo=UTC))
    assert [kept.study_instance_uid for kept in answers] == [uid("asked")] * 2


def test_rounds_of_flags_add_up_and_a_series_changes_sides(archived: Room) -> None:
    archived.send(selected("one"))
    archived.send(selected("two", REJECTED))
    assert archived.chosen == ({"one"}, {"two"})
    archived.send(selected("one", REJECTED))
    assert archived.chosen == (set(), {"one", "two"})
    assert len(archived.delivered) == 4


def test_a_flag_is_taken_back_by_a_key_object_with_any_other_title(archived: Room) -> None:
    archived.send(selected("one"))
    archived.send(selected("two", REJECTED))
    archived.send(selected("one", FOR_TEACHING))
    assert archived.chosen == (set(), {"two"})
    archived.send(selected("two", FOR_TEACHING))
    assert archived.chosen == (set(), set())
    assert [outcome(report) for _, report in archived.delivered] == ["found"] * 5
    assert {report.StudyInstanceUID for _, report in archived.delivered} == {uid("asked")}
    archived.send(selected("three", FOR_TEACHING))
    assert outcome(archived.delivered[-1][1]) == "refused", "that was not flagged"


def test_a_flag_that_waits_for_its_example_is_taken_back(room: Room) -> None:
    room.send(selected("one"), selected("two"))
    room.send(selected("one", FOR_TEACHING))
    assert len(room.delivered) == 1
    room.send(instance("asked"))
    assert room.chosen == ({"two"}, set())


def test_key_objects_that_are_sent_together_have_one_answer(
    archived: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is filed in its own case, and so comes as a study of its own."""
    caplog.set_level(logging.INFO)
    archived.send(selected("one"), selected("two", REJECTED), selected("three"))
    assert archived.chosen == ({"one", "three"}, {"two"})
    assert len(archived.delivered) == 2
    assert caplog.text.count("reason=noted") == 2


def test_flags_of_another_of_our_titles_are_answered_by_that_one(archived: Room) -> None:
    archived.bring(selected("one"))
    archived.send(selected("two"), called="CBIR_FEW")
    assert len(archived.delivered) == 3
    assert {question.limit for _, question in archived.asked[1:]} == {10, 2}


def test_what_is_flagged_while_the_refined_question_is_asked_has_an_answer_of_its_own(
    archived: Room,
) -> None:
    archived.gate.clear()
    archived.bring(selected("one"))
    wait_until(lambda: len(archived.asked) == 2)
    archived.bring(selected("two"))
    time.sleep(5 * QUICK.quiet_s)
    assert len(archived.asked) == 2, "one question about an example at a time"
    archived.gate.set()
    wait_until(archived.is_done)
    assert archived.chosen == ({"one", "two"}, set())
    assert len(archived.delivered) == 3


def test_flags_on_the_cases_of_an_example_that_is_not_archived_wait_until_it_is_sent_again(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    room.send(selected("one"), selected("two", REJECTED))
    assert len(room.asked) == len(room.delivered) == 1
    assert "reason=noted" in caplog.text
    room.restart()
    room.send(instance("asked"))
    assert room.chosen == ({"one"}, {"two"})
    room.send(instance("something else"))
    assert room.chosen == (set(), set())


def test_flags_of_an_invented_image_do_not_open_the_study_whose_uids_it_carries(archived: Room) -> None:
    """The reports of answers name studies and patients, so whoever knows these has not sent the study."""
    archived.send(instance("asked", "invented"), caller=WS2)
    archived.send(selected("one"), caller=WS2)
    assert [caller for caller, _ in archived.delivered] == ["WS1", "WS2"]
    archived.send(instance("asked"), caller=WS2)
    assert archived.chosen == ({"one"}, set())
    archived.send(selected("two"), caller=WS2)
    assert archived.chosen == ({"one", "two"}, set())


def test_flags_that_come_with_the_example_are_heeded_at_once(room: Room) -> None:
    """A workstation may file a key object in the study that it is about."""
    image = instance("asked")
    room.send(image, key_object([instance("three")], INTEREST, filed_in=image))
    assert room.chosen == ({"three"}, set())
    assert len(room.delivered) == 2


def test_a_key_object_that_names_no_case_of_the_caller_is_refused(room: Room) -> None:
    room.send(selected("a study of the archive"))
    room.send(selected("one", FOR_TEACHING))
    assert [outcome(report) for _, report in room.delivered] == ["found", "refused", "refused"]
    assert len(room.asked) == 1
    for _, refused in room.delivered[1:]:
        assert "Of Interest" in comment(refused)
        assert "Rejected for Quality Reasons" in comment(refused)
    room.send(selected("a study of the archive"), instance("a study of the archive", Modality="PR"))
    assert "Of Interest" not in comment(room.delivered[-1][1]), "not only key objects"


def test_a_flag_of_another_caller_does_nothing(archived: Room) -> None:
    archived.send(selected("one"), caller=WS2)
    caller, report = archived.delivered[-1]
    assert (caller, outcome(report), report.StudyInstanceUID) == ("WS2", "refused", uid("one"))
    archived.send(instance("asked", number=2))
    assert archived.chosen == (set(), set())


def test_flags_are_noted_later_where_the_archive_does_not_answer(archived: Room) -> None:
    archived.library.down = True
    archived.house.now = datetime.now(UTC)
    archived.bring(selected("one"))
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(archived.is_done, timeout_s=1)
    archived.library.down = False
    wait_until(archived.is_done)
    assert archived.chosen == ({"one"}, set())
    assert len(archived.delivered) == 2


def test_selections_that_wait_over_a_restart_are_heeded(archived: Room) -> None:
    archived.library.down = True
    archived.bring(selected("one"), selected("two"))
    archived.questions.stop()
    archived.library.down = False
    archived.restart()
    wait_until(archived.is_done)
    heeded = [named(question.more) for _, question in archived.asked[1:]]
    assert {"one", "two"} in heeded, "they may be asked at the same time, and the last one noted heeds both"


def test_images_that_join_a_selection_are_asked_about_whatever_else_is_flagged(room: Room) -> None:
    """The first selection is noted, and waits for the second, when the images of its study come."""
    image = instance("asked")
    room.hold("a", key_object([instance("one")], INTEREST, filed_in=image))
    room.hold("b", selected("two"))
    room.questions.let_go("a")
    wait_until(lambda: room.is_noted("asked"))
    room.hold("c", image)
    room.questions.let_go("b")
    wait_until(lambda: len(room.questions) == 1)
    room.questions.let_go("c")
    wait_until(room.is_done)
    assert room.chosen == ({"one", "two"}, set())
    assert len(room.delivered) == 2


def test_images_that_an_earlier_process_took_are_asked_about_whatever_else_is_flagged(room: Room) -> None:
    image = instance("asked")
    room.hold("a", image)
    room.restart(lambda: room.hold("b", key_object([instance("one")], INTEREST, filed_in=image)))
    room.hold("c", selected("two"))
    room.questions.let_go("b")
    room.questions.let_go("c")
    wait_until(room.is_done)
    assert room.chosen[0] >= {"one"}
    assert len(room.delivered) == 2


def test_a_report_that_comes_with_a_selection_is_asked_with_where_the_title_reads_it(room: Room) -> None:
    words = report("reported", "A nodule.")
    room.send(words, called=WORDS.ae_title)
    room.send(words, key_object([instance("one")], INTEREST, filed_in=words), called=WORDS.ae_title)
    _, question = room.asked[-1]
    assert [path.stem for path in question.reports] == [words.SOPInstanceUID]
    assert room.chosen == ({"one"}, set())
    assert [outcome(found) for _, found in room.delivered] == ["found"] * 3


def test_a_report_that_is_not_read_does_not_keep_a_selection_from_asking_again(archived: Room) -> None:
    archived.send(selected("one"), report("one", "A nodule."))
    assert archived.chosen == ({"one"}, set())
    assert len(archived.delivered) == 2


def test_a_fault_while_flags_are_noted_is_told_to_the_sender(archived: Room) -> None:
    archived.library.broken = True
    archived.send(selected("one"))
    assert [outcome(found) for _, found in archived.delivered] == ["found", "refused"]
    assert "failed on this question" in comment(archived.delivered[-1][1])


def test_flags_are_not_said_to_be_noted_only_where_the_refined_answer_fails(
    archived: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    archived.documents = Misfiled(forms=("report",))
    archived.restart()
    archived.send(selected("one"))
    assert archived.chosen == ({"one"}, set())
    assert "reason=not_found" in caplog.text
    assert "reason=noted" not in caplog.text


def test_an_example_that_is_sent_again_with_its_fresh_answer_is_asked_once_flags_are_new(
    room: Room,
) -> None:
    """A workstation sends the whole study, with what was filed in it."""
    [(_, answer)] = room.delivered
    image = instance("asked")
    room.send(image, answer)
    assert len(room.asked) == 1, "nothing was flagged yet"
    time.sleep(1.1)
    room.send(selected("one"))
    room.send(image, answer)
    assert room.chosen == ({"one"}, set())
    room.send(image, answer, room.delivered[-1][1])
    assert len(room.asked) == 2, "that is answered now"


def test_a_flag_is_as_old_as_its_sending_however_long_it_waited(archived: Room) -> None:
    archived.library.down = True
    archived.bring(selected("one"))
    archived.house.now = datetime.now(UTC)
    time.sleep(3 * QUICK.quiet_s)
    archived.library.down = False
    wait_until(archived.is_done)
    [kept] = archived.house.ledger.flags_of("WS1", uid("asked"), datetime(2026, 1, 1, tzinfo=UTC), 20)
    assert kept.flagged_at < archived.house.now


def test_a_forwarded_study_that_holds_the_flags_is_asked_about_once_by_each_title(room: Room) -> None:
    """An archive forwards the study to two of our titles whenever an answer is filed in it."""
    image = instance("asked")
    selection = key_object([instance("one")], INTEREST, filed_in=image)
    for _ in range(3):
        for called in ("", "CBIR_FEW"):
            room.send(image, selection, *(answer for _, answer in room.delivered), called=called)
            time.sleep(1.1)
    assert [question.limit for _, question in room.asked[1:]] == [10, 2]
    assert room.chosen == ({"one"}, set())
