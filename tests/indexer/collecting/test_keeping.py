"""What is answered is kept for its caller, its best cases go along, and none of it costs an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from indexer.adapters.folder import FolderArchive
from indexer.adapters.folder.library import FolderLibrary
from indexer.ae.answering import Answering
from indexer.ae.documents import Documents
from indexer.ae.patience import Patience
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.answers.example import read_instance
from indexer.collecting import Deidentify, Keeping, Policy, Sending, Shipping
from indexer.collecting.sweeping import Sweeping
from indexer.destinations import Destination
from indexer.domain import Answer, SeriesReference
from indexer.errors import ArchiveUnavailable, LedgerUnavailable, Unsupported
from indexer.ledger import KeptAnswer
from indexer.ports import FetchedInstance, WantedCopy
from tests.fakes.answers import answer_about, instance, uid
from tests.fakes.collected import PSEUDONYMS, Collected, collected
from tests.fakes.key_objects import key_object
from tests.fakes.library import FakeCarrier
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import wait_until

WS1 = Destination.parse("WS1=localhost:104")
QUICK = Patience(quiet_s=0.1, retry_first_s=0.05, retry_longest_s=0.1)


class DeafLedger:
    """A ledger whose database is down."""

    def keep_answer(self, kept: KeptAnswer) -> None:
        raise LedgerUnavailable("The database does not answer.")

    def answer_to(self, question_id: str) -> KeptAnswer | None:
        return None


class Room:
    """Questions that are answered with the priors of a house."""

    def __init__(
        self,
        house: Collected,
        *,
        push_top: int = 0,
        deidentify: Deidentify = "never",
        ledger: object = None,
        library: FolderLibrary | None = None,
        patience: Patience = QUICK,
    ) -> None:
        self.house = house
        self.carrier = FakeCarrier()
        self.delivered: list[int] = []
        self.searcher = FakeSearcher(self.found)
        archive, library = FolderArchive(house.folder / "priors"), library or house.library()
        sending = Sending(
            archive=archive,
            library=library,
            access=archive,
            policy=Policy(PSEUDONYMS, "pseudonym", deidentify),
            shipping=Shipping(library),
            carrier=self.carrier,
            destinations=(WS1,),
        )
        cases = house.cases(deidentify=deidentify)
        self.questions = Questions(
            spool=Spool(house.folder / "questions"),
            answering=Answering(self.searcher, documents=Documents(forms=("report",))),
            deliver=self.deliver,
            callers=(WS1,),
            patience=patience,
            keeping=Keeping(ledger or house.ledger, cases, sending, push_top=push_top),  # type: ignore[arg-type]
        )

    def found(self, paths: tuple[Path, ...]) -> Answer:
        """The priors of the house, in the order in which they were made."""
        answer = answer_about(paths, matches=len(self.house.priors))
        kept = self.house.priors.values()
        matches = tuple(
            replace(
                match,
                reference=SeriesReference(case.study_instance_uid, case.series_instance_uid, case.archive_id),
            )
            for match, case in zip(answer.matches, kept, strict=True)
        )
        return replace(answer, matches=matches)

    def deliver(self, destination: Destination, paths: Sequence[Path]) -> None:
        self.delivered.append(len(paths))

    def ask(self, study: str = "asked", called: str = "", sent: Dataset | None = None) -> None:
        buffer = BytesIO()
        (sent or instance(study)).save_as(buffer, enforce_file_format=True)
        content = buffer.getvalue()
        self.questions.receive("a", WS1, read_instance(BytesIO(content)), content, called)
        self.questions.let_go("a")

    def __enter__(self) -> Room:
        self.questions.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.questions.stop()

    def is_done(self) -> bool:
        return len(self.questions) == 0

    def kept(self) -> list[KeptAnswer]:
        return self.house.ledger.answers_of("WS1", self.house.now - timedelta(days=9999))

    def sent(self) -> list[str]:
        return [dataset.StudyInstanceUID for dataset in self.carrier.sent.get("WS1", [])]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        house.prior("head", instances=2)
        house.prior("chest", instances=3)
        yield house


def test_the_cases_of_a_question_are_kept_in_rank_order(house: Collected) -> None:
    with Room(house) as room:
        room.ask()
        wait_until(room.is_done)
        [kept] = room.kept()
    assert [case.study_instance_uid for case in kept.cases] == [uid("head"), uid("chest")]
    assert [case.rank for case in kept.cases] == [1, 2]
    assert (kept.caller, kept.study_instance_uid, kept.refused) == ("WS1", uid("asked"), "")
    assert abs(kept.asked_at.timestamp() - time.time()) < 60
    assert room.sent() == [], "nothing is pushed unless it is asked for"


def test_a_refusal_is_kept_too(house: Collected) -> None:
    def refuse(_: tuple[Path, ...]) -> Answer:
        raise Unsupported("Nothing here can be compared.")

    with Room(house) as room:
        room.searcher.reply = refuse
        room.ask()
        wait_until(room.is_done)
        [kept] = room.kept()
    assert (kept.cases, kept.refused, kept.message) == ((), "unsupported", "Nothing here can be compared.")


def test_it_is_kept_which_title_was_asked(house: Collected) -> None:
    with Room(house) as room:
        for called in ("CBIR_CT", ""):
            room.ask(called=called)
            wait_until(room.is_done)
        assert sorted(kept.called for kept in room.kept()) == ["", "CBIR_CT"]


def test_what_held_nothing_to_ask_with_is_refused_and_is_no_last_question(house: Collected) -> None:
    with Room(house) as room:
        room.ask()
        wait_until(room.is_done)
        for name in ("113002", "113000"):
            room.ask(sent=key_object([instance("elsewhere")], name))
            wait_until(room.is_done)
        assert [kept.study_instance_uid for kept in room.kept()] == [uid("asked")]
    assert room.delivered == [1, 1, 1], "who sent it is told all the same"


def test_without_a_ledger_the_answer_is_delivered_all_the_same(
    house: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    with Room(house, ledger=DeafLedger(), push_top=1) as room:
        room.ask()
        wait_until(room.is_done)
    assert room.delivered == [1]
    assert "answer_not_kept" in caplog.text


def test_the_best_cases_go_along_with_the_answer(house: Collected) -> None:
    with Room(house, push_top=1) as room:
        room.ask()
        wait_until(room.is_done)
    assert room.sent() == [uid("head")] * 2


def test_a_caller_that_is_down_for_cases_gets_them_later_and_its_answer_once(house: Collected) -> None:
    with Room(house, push_top=2) as room:
        room.carrier.down = {"WS1"}
        room.ask()
        wait_until(lambda: room.delivered == [1])
        time.sleep(0.5)
        assert not room.is_done()
        room.carrier.down = set()
        wait_until(room.is_done)
    assert room.delivered == [1]
    assert sorted(room.sent()) == sorted([uid("head")] * 2 + [uid("chest")] * 3)


def test_cases_whose_way_breaks_off_are_sent_later_and_not_forgotten(house: Collected) -> None:
    with Room(house, push_top=2) as room:
        room.carrier.breaks_after = 1
        room.ask()
        wait_until(lambda: len(room.sent()) == 1)
        time.sleep(0.3)
        assert not room.is_done()
        room.carrier.breaks_after = None
        wait_until(room.is_done)
    assert room.delivered == [1]
    assert set(room.sent()) == {uid("head"), uid("chest")}
    assert len({dataset.SOPInstanceUID for dataset in room.carrier.sent["WS1"]}) == 5


def test_a_service_that_stops_goes_on_with_the_cases_where_it_was(house: Collected) -> None:
    house.prior("foot", instances=40)
    with Room(house, push_top=3) as room:
        room.carrier.slow = threading.Event()
        room.ask()
        wait_until(lambda: len(room.sent()) >= 3)
        began = time.monotonic()
    assert time.monotonic() - began < 15, "a stop waits for one instance, and not 21 s for all cases"
    before = len(room.sent())
    assert before < 45
    with Room(house, push_top=3) as again:
        wait_until(again.is_done)
    assert (room.delivered, again.delivered) == ([1], [])
    assert uid("head") not in again.sent(), "what arrived is not sent again"
    assert set(room.sent()) | set(again.sent()) == {uid("head"), uid("chest"), uid("foot")}
    assert again.sent().count(uid("foot")) == 40


def test_the_next_answer_does_not_wait_for_the_cases_of_the_one_before(house: Collected) -> None:
    with Room(house, push_top=2) as room:
        room.carrier.slow, room.carrier.slow_s = threading.Event(), 120
        room.ask()
        wait_until(lambda: "WS1" in room.carrier.sent)
        room.ask("another")
        wait_until(lambda: room.delivered == [1, 1])
        assert room.sent() == [], "the first of the cases is on its way"
        room.carrier.slow.set()
        wait_until(room.is_done)
    assert len(room.sent()) == 10


def test_cases_that_nobody_takes_are_dropped_and_the_answer_is_not_called_so(
    house: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    with Room(house, push_top=1, patience=replace(QUICK, give_up_s=0.5)) as room:
        room.carrier.down = {"WS1"}
        room.ask()
        wait_until(room.is_done)
    assert room.delivered == [1]
    assert "cases_dropped" in caplog.text
    assert "answer_dropped" not in caplog.text


class Reluctant(FolderLibrary):
    """A library that cannot give one study, until it can."""

    lost = ""

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        if any(self.lost and copy.instance.archive_id.startswith(self.lost) for copy in wanted):
            raise ArchiveUnavailable("The storage is not there.")
        return super().copies(wanted, into)


def test_a_study_that_the_archive_cannot_give_now_keeps_no_other_and_follows_alone(house: Collected) -> None:
    library = Reluctant(house.folder / "priors", FolderArchive(house.folder / "priors"))
    library.lost = "head/"
    with Room(house, push_top=2, library=library) as room:
        room.ask()
        wait_until(lambda: len(room.sent()) == 3)
        time.sleep(0.3)
        assert set(room.sent()) == {uid("chest")}
        library.lost = ""
        wait_until(room.is_done)
    assert (room.sent().count(uid("chest")), room.sent().count(uid("head"))) == (3, 2)


def test_cases_that_cannot_be_deidentified_are_not_pushed(
    house: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    with Room(house, push_top=1, deidentify="others") as room:
        room.ask()
        wait_until(room.is_done)
    assert (room.delivered, room.sent()) == ([1], [])
    assert "cases_not_pushed" in caplog.text


def test_old_answers_are_swept_by_themselves(house: Collected) -> None:
    house.answered("WS1", "head")
    cases = house.cases()
    house.now += timedelta(hours=2)
    sweeping = Sweeping(cases, every_s=0.05)
    sweeping.start()
    try:
        wait_until(lambda: house.ledger.answer_to("question-120001") is None)
    finally:
        sweeping.stop()
