from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from indexer.ae.answering import Answering
from indexer.ae.patience import Patience
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool, SpooledQuestion, SpoolFull
from indexer.ae.steps import MAX_BROKEN
from indexer.answers.example import read_instance
from indexer.answers.identity import MANUFACTURER
from indexer.destinations import Destination
from indexer.domain import Answer
from indexer.errors import EncoderUnavailable, NotIndexed, Unavailable, Unsupported
from tests.fakes.answers import answer_about, instance, uid
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import wait_until

WS1 = Destination.parse("WS1=localhost:104")
WS2 = Destination.parse("WS2=localhost:105")
QUICK = Patience(
    quiet_s=0.1, held_s=120.0, gather_s=120.0, retry_first_s=0.05, retry_longest_s=0.1, give_up_s=120.0
)


class Mailbox:
    """Where answers are delivered; `refuse` makes it raise. `delivered` are the reports."""

    def __init__(self) -> None:
        self.delivered: list[tuple[Destination, Dataset]] = []
        self.sheets: list[Dataset] = []
        self.tried: list[str] = []
        self.refuse: Callable[[Destination], bool] = lambda _: False

    def __call__(self, destination: Destination, paths: Sequence[Path]) -> None:
        sheet, report = (pydicom.dcmread(path) for path in paths)
        for document in (sheet, report):
            document.walk(lambda *_: None)
        self.tried.append(report.SOPInstanceUID)
        if self.refuse(destination):
            raise Unavailable("The workstation is down.")
        self.delivered.append((destination, report))
        self.sheets.append(sheet)

    def outcomes(self) -> list[str]:
        return [_outcome(dataset) for _, dataset in self.delivered]


def _outcome(report: Dataset) -> str:
    evaluations = report.ContentSequence[-1].ContentSequence
    return str(evaluations[0].ConceptCodeSequence[0].CodeValue)


def _comments(report: Dataset) -> str:
    return " ".join(item.get("TextValue", "") for item in report.ContentSequence[-1].ContentSequence)


class Room:
    """Questions over a folder, with a search and a mailbox that the test holds."""

    def __init__(self, folder: Path, patience: Patience = QUICK) -> None:
        self.folder = folder
        self.patience = patience
        self.searcher = FakeSearcher()
        self.mailbox = Mailbox()
        self.callers: tuple[Destination, ...] = (WS1, WS2)
        self.steps: list[tuple[str, float]] = []
        self.questions = self._made()

    def _made(self) -> Questions:
        return Questions(
            spool=Spool(self.folder),
            answering=Answering(self.searcher, limit=3),
            deliver=self.mailbox,
            callers=self.callers,
            patience=self.patience,
            took=lambda step, took_s: self.steps.append((step, took_s)),
        )

    def start(self) -> None:
        self.questions.start()

    def restart(self) -> None:
        self.questions.stop()
        self.questions = self._made()
        self.questions.start()

    def send(self, *datasets: Dataset, caller: Destination = WS1, association: str = "") -> None:
        """Send instances in one association, which ends with the last of them unless it has a name."""
        for dataset in datasets:
            buffer = BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            content = buffer.getvalue()
            self.questions.receive(association or "a", caller, read_instance(BytesIO(content)), content)
        if not association:
            self.questions.let_go("a")

    def is_idle(self) -> bool:
        """Whether no question is being asked or answered."""
        register = self.questions._register
        with register.changed:
            return not any(opened.busy for opened in register)

    def try_again(self) -> None:
        """Let the pauses after what failed be over."""
        register = self.questions._register
        with register.changed:
            for opened in register:
                opened.not_before = 0.0

    def is_empty(self) -> bool:
        return len(self.questions) == 0 and not list(self.folder.iterdir())


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "questions")
    room.start()
    yield room
    room.questions.stop()


def test_a_question_is_answered_once_and_leaves_nothing_behind(room: Room) -> None:
    room.send(instance("asked", number=1), instance("asked", number=2))
    wait_until(room.is_empty)
    assert room.mailbox.outcomes() == ["found"]
    assert [len(names) for _, names in room.searcher.asked] == [2]


def test_every_step_of_an_answer_tells_how_long_it_took(room: Room) -> None:
    room.send(instance("asked"))
    wait_until(room.is_empty)
    steps = [step for step, _ in room.steps]
    assert len(steps) == len(set(steps))
    assert {"read", "embed", "search", "pictures", "sheet", "report", "store", "deliver"} < set(steps)
    assert all(0 <= took_s < 60 for _, took_s in room.steps)


def test_instances_that_arrive_while_it_is_asked_become_a_question_of_their_own(room: Room) -> None:
    gate = threading.Event()

    def reply(paths: tuple[Path, ...]) -> Answer:
        assert gate.wait(60)
        return answer_about(paths)

    room.searcher.reply = reply
    room.send(instance("asked", number=1))
    wait_until(lambda: len(room.searcher.asked) == 1)
    room.send(instance("asked", number=2), instance("asked", number=3))
    gate.set()
    wait_until(room.is_empty)
    assert [len(names) for _, names in room.searcher.asked] == [1, 2]
    assert len({dataset.SOPInstanceUID for _, dataset in room.mailbox.delivered}) == 2


def test_a_trickle_that_never_ends_is_cut_into_questions(tmp_path: Path) -> None:
    room = Room(tmp_path / "questions", Patience(quiet_s=0.5, held_s=5, gather_s=0.8))
    room.start()
    number = 0

    def asked() -> bool:
        nonlocal number
        number += 1
        room.send(instance("asked", number=number), association="held")
        return bool(room.searcher.asked)

    wait_until(asked)
    room.questions.stop()


def test_a_neighbour_that_is_down_is_asked_again_until_it_answers(room: Room) -> None:
    down = [3]

    def reply(paths: tuple[Path, ...]) -> Answer:
        down[0] -= 1
        if down[0] > 0:
            raise EncoderUnavailable("The worker does not answer.")
        return answer_about(paths)

    room.searcher.reply = reply
    room.send(instance("asked"))
    wait_until(room.is_empty)
    assert len(room.searcher.asked) == 3
    assert room.mailbox.outcomes() == ["found"]


def test_instances_that_arrive_between_two_attempts_join_the_question(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(tmp_path / "questions", Patience(quiet_s=0.1, retry_first_s=600, retry_longest_s=600))

    def reply(paths: tuple[Path, ...]) -> Answer:
        if len(room.searcher.asked) == 1:
            raise EncoderUnavailable("The worker does not answer.")
        return answer_about(paths)

    room.searcher.reply = reply
    room.start()
    room.send(instance("asked", number=1))
    wait_until(lambda: "question_postponed" in caplog.text)
    wait_until(room.is_idle)
    room.send(instance("asked", number=2))
    room.try_again()
    wait_until(room.is_empty)
    room.questions.stop()
    assert [len(names) for _, names in room.searcher.asked] == [1, 2]
    assert room.mailbox.outcomes() == ["found"]


def test_after_long_enough_the_caller_is_told_that_nobody_answers(tmp_path: Path) -> None:
    room = Room(tmp_path / "questions", Patience(quiet_s=0.1, retry_first_s=0.05, give_up_s=0.5))

    def reply(_: tuple[Path, ...]) -> Answer:
        raise EncoderUnavailable("The worker does not answer.")

    room.searcher.reply = reply
    room.start()
    room.send(instance("asked"))
    wait_until(room.is_empty)
    room.questions.stop()
    assert room.mailbox.outcomes() == ["refused"]
    assert "encoder_unavailable" in _comments(room.mailbox.delivered[0][1])


@pytest.mark.parametrize(
    "error",
    [
        Unsupported("Nothing here can be looked at."),
        NotIndexed("Known, but not searchable yet."),
    ],
)
def test_a_refused_question_is_answered_with_its_reason(room: Room, error: Exception) -> None:
    def reply(_: tuple[Path, ...]) -> Answer:
        raise error

    room.searcher.reply = reply
    room.send(instance("asked"))
    wait_until(room.is_empty)
    assert room.mailbox.outcomes() == ["refused"]
    assert str(error) in _comments(room.mailbox.delivered[0][1])
    assert len(room.searcher.asked) == 1


def test_a_fault_of_ours_is_told_and_its_text_is_not_logged(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(_: tuple[Path, ...]) -> Answer:
        raise RuntimeError("Nightin" + "gale^Florence")

    room.searcher.reply = reply
    room.send(instance("asked"))
    wait_until(room.is_empty)
    assert room.mailbox.outcomes() == ["refused"]
    assert "RuntimeError" in caplog.text
    assert "Nightingale" not in caplog.text


@pytest.mark.parametrize("modality", ["SR", "KO", "PR"])
def test_a_report_alone_is_refused_with_a_reason_and_never_searched(room: Room, modality: str) -> None:
    room.send(instance("asked", Modality=modality))
    wait_until(room.is_empty)
    assert room.mailbox.outcomes() == ["refused"]
    assert "send images" in _comments(room.mailbox.delivered[0][1])
    assert room.searcher.asked == []


def test_our_own_answer_that_comes_back_is_not_answered_again(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    room.send(instance("asked", Modality="SR", Manufacturer=MANUFACTURER))
    wait_until(room.is_empty)
    assert room.mailbox.tried == []
    assert "reason=echo" in caplog.text


def test_a_study_that_is_forwarded_back_with_its_fresh_answer_is_not_answered_for_ever(room: Room) -> None:
    room.send(instance("asked", number=1))
    wait_until(room.is_empty)
    [(_, answer)] = room.mailbox.delivered
    room.send(instance("asked", number=1), answer)
    wait_until(room.is_empty)
    assert len(room.mailbox.delivered) == 1


def test_a_study_that_is_forwarded_back_with_its_fresh_sheet_alone_is_not_answered_for_ever(
    room: Room,
) -> None:
    """A workstation that takes no reports has nothing else to forward."""
    room.send(instance("asked", number=1))
    wait_until(room.is_empty)
    [sheet] = room.mailbox.sheets
    room.send(instance("asked", number=1), sheet)
    wait_until(room.is_empty)
    assert len(room.mailbox.delivered) == 1


def test_an_old_sheet_of_ours_beside_images_is_no_image_to_ask_about(room: Room) -> None:
    room.send(instance("asked", number=1))
    wait_until(room.is_empty)
    [sheet] = room.mailbox.sheets
    sheet.ContentDate = "20200101"
    room.send(sheet, instance("asked", number=2))
    wait_until(room.is_empty)
    assert [names for _, names in room.searcher.asked] == [
        (uid("asked", "1", "1"),),
        (uid("asked", "1", "2"),),
    ]


def test_one_line_says_where_the_time_of_a_question_went(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    room.send(instance("asked"))
    wait_until(room.is_empty)
    [answered] = [r.getMessage() for r in caplog.records if r.getMessage().startswith("question_answered")]
    parts = dict(re.findall(r"(\w+)_ms=(\d+)", answered))
    assert list(parts) == [
        *("gathered", "quiet", "read", "embed", "search", "pictures", "sheet", "report", "store")
    ]
    assert int(parts["quiet"]) >= 100
    [delivered] = [r.getMessage() for r in caplog.records if r.getMessage().startswith("answer_delivered")]
    assert re.search(r"documents=2 deliver_ms=\d+", delivered)


def test_a_study_with_an_old_answer_or_a_new_image_is_a_question_again(room: Room) -> None:
    room.send(instance("asked", number=1))
    wait_until(room.is_empty)
    [(_, answer)] = room.mailbox.delivered
    room.send(answer, instance("asked", number=2))
    wait_until(room.is_empty)
    answer.ContentDate = "20200101"
    room.send(answer, instance("asked", number=1))
    wait_until(room.is_empty)
    assert room.mailbox.outcomes() == ["found"] * 3


def test_a_report_beside_images_is_left_out_of_the_search(room: Room) -> None:
    room.send(instance("asked", number=1), instance("asked", series="2", number=1, Modality="SR"))
    wait_until(room.is_empty)
    assert [names for _, names in room.searcher.asked] == [(uid("asked", "1", "1"),)]
    assert room.mailbox.outcomes() == ["found"]


def test_an_answer_is_offered_again_as_the_same_instance(room: Room) -> None:
    room.mailbox.refuse = lambda _: len(room.mailbox.tried) < 3
    room.send(instance("asked"))
    wait_until(room.is_empty)
    assert len(room.mailbox.tried) == 3
    assert len(set(room.mailbox.tried)) == 1
    assert len(room.searcher.asked) == 1


def test_what_was_asked_is_gone_while_its_answer_waits(room: Room) -> None:
    room.mailbox.refuse = lambda _: True
    room.send(instance("asked"))
    wait_until(lambda: len(room.mailbox.tried) > 1)
    assert list(room.folder.rglob("instances")) == []
    assert len(list(room.folder.rglob("answer-*.dcm"))) == 2
    room.mailbox.refuse = lambda _: False
    wait_until(room.is_empty)


def test_a_workstation_that_is_down_does_not_hold_up_the_others(room: Room) -> None:
    room.mailbox.refuse = lambda destination: destination == WS1
    for study in ("one", "two", "three", "four", "five", "six"):
        room.send(instance(study), caller=WS1)
    room.send(instance("other"), caller=WS2)
    wait_until(lambda: [d for d, _ in room.mailbox.delivered] == [WS2])
    room.mailbox.refuse = lambda _: False
    wait_until(room.is_empty)
    assert len(room.mailbox.delivered) == 7


def test_an_answer_nobody_takes_is_dropped_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(tmp_path / "questions", Patience(quiet_s=0.1, retry_first_s=0.05, give_up_s=0.4))
    room.mailbox.refuse = lambda _: True
    room.start()
    room.send(instance("asked"))
    wait_until(room.is_empty)
    room.questions.stop()
    assert "answer_dropped" in caplog.text


def test_a_restart_takes_up_what_waits_and_what_is_answered(room: Room) -> None:
    room.mailbox.refuse = lambda destination: destination == WS1
    room.send(instance("answered"), caller=WS1)
    wait_until(lambda: len(room.mailbox.tried) > 0)
    room.send(instance("waiting"), caller=WS2, association="held")
    room.restart()
    wait_until(lambda: [d for d, _ in room.mailbox.delivered] == [WS2])
    room.mailbox.refuse = lambda _: False
    wait_until(room.is_empty)
    assert len(room.searcher.asked) == 2


def test_an_answer_follows_its_caller_to_a_new_address(room: Room) -> None:
    moved = Destination.parse("WS1=localhost:204")
    room.mailbox.refuse = lambda destination: destination != moved
    room.send(instance("asked"))
    wait_until(lambda: len(room.mailbox.tried) > 0)
    room.callers = (moved,)
    room.restart()
    wait_until(room.is_empty)
    assert [destination for destination, _ in room.mailbox.delivered] == [moved]


def test_when_the_spool_is_full_nothing_is_kept(tmp_path: Path) -> None:
    room = Room(tmp_path / "questions")
    room.questions = Questions(
        spool=Spool(room.folder, max_bytes=10),
        answering=Answering(room.searcher),
        deliver=room.mailbox,
        callers=room.callers,
        patience=QUICK,
    )
    room.start()
    with pytest.raises(SpoolFull):
        room.send(instance("asked"))
    room.questions.let_go("a")
    wait_until(room.is_empty)
    room.questions.stop()
    assert room.mailbox.tried == []


def test_many_threads_sending_one_study_make_one_question(room: Room) -> None:
    threads = [
        threading.Thread(
            target=room.send, args=(instance("asked", number=n),), kwargs={"association": f"association {n}"}
        )
        for n in range(1, 21)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(1, 21):
        room.questions.let_go(f"association {n}")
    wait_until(room.is_empty)
    assert [len(names) for _, names in room.searcher.asked] == [20]


class SlowSpool(Spool):
    """A spool whose disk takes its time, until `gate` is set, over every question of one caller."""

    def __init__(self, folder: Path, slow: str) -> None:
        super().__init__(folder)
        self.slow = slow
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.created: list[str] = []
        self.gave_up = False

    def create(
        self, caller: str, destination: str, study_instance_uid: str, now: float, called: str = ""
    ) -> SpooledQuestion:
        self.created.append(caller)
        if caller == self.slow:
            self.begun.set()
            self.gave_up = not self.gate.wait(60)
        return super().create(caller, destination, study_instance_uid, now, called)


def test_a_slow_disk_under_a_new_question_does_not_hold_up_the_others(tmp_path: Path) -> None:
    room = Room(tmp_path / "questions")
    spool = SlowSpool(room.folder, slow="WS1")
    room.questions = Questions(
        spool=spool,
        answering=Answering(room.searcher, limit=3),
        deliver=room.mailbox,
        callers=room.callers,
        patience=QUICK,
    )
    room.start()
    senders = [
        threading.Thread(
            target=room.send, args=(instance("asked", number=n),), kwargs={"association": f"association {n}"}
        )
        for n in (1, 2, 3)
    ]
    for sender in senders:
        sender.start()
    assert spool.begun.wait(60)
    room.send(instance("other"), caller=WS2)
    wait_until(lambda: [destination for destination, _ in room.mailbox.delivered] == [WS2])
    spool.gate.set()
    for sender in senders:
        sender.join()
    for n in (1, 2, 3):
        room.questions.let_go(f"association {n}")
    wait_until(room.is_empty)
    room.questions.stop()
    assert not spool.gave_up
    assert spool.created == ["WS1", "WS2"]
    assert [len(names) for _, names in room.searcher.asked] == [1, 3]


def test_when_a_question_cannot_begin_the_next_sender_begins_it(tmp_path: Path) -> None:
    room = Room(tmp_path / "questions")
    room.start()
    room.folder.rename(tmp_path / "away")
    room.folder.write_text("no folder")
    with pytest.raises(SpoolFull):
        room.send(instance("asked", number=1))
    room.folder.unlink()
    (tmp_path / "away").rename(room.folder)
    room.send(instance("asked", number=1))
    wait_until(room.is_empty)
    room.questions.stop()
    assert room.mailbox.outcomes() == ["found"]


def _damaged(room: Room) -> bool:
    """Make the record something that cannot be unlinked, as on a disk that has become read-only."""
    for record in room.folder.glob("*/question.json"):
        if record.is_file():
            record.unlink()
            record.mkdir()
    return False


def test_an_answer_that_was_delivered_is_not_delivered_again_while_the_disk_refuses(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.mailbox.refuse = lambda _: _damaged(room)
    room.send(instance("asked"))
    wait_until(lambda: caplog.text.count("question_not_removed") >= 3)
    assert len(room.mailbox.delivered) == 1
    assert len(room.questions) == 1
    next(room.folder.glob("*/question.json")).rmdir()
    wait_until(room.is_empty)
    assert len(room.mailbox.delivered) == 1


def test_a_delivery_that_always_breaks_pauses_each_time_and_ends_even_if_the_disk_refuses(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Destination) -> bool:
        _damaged(room)
        raise RuntimeError

    room.mailbox.refuse = refuse
    room.send(instance("asked"))
    wait_until(lambda: caplog.text.count("question_not_removed") >= 3)
    assert len(room.mailbox.tried) == MAX_BROKEN
    next(room.folder.glob("*/question.json")).rmdir()
    wait_until(room.is_empty)
    assert len(room.mailbox.tried) == MAX_BROKEN
