from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import Event

from cbir.ports import free_port
from indexer.ae.delivery import Undelivered, deliver
from indexer.answers.example import read_example
from indexer.answers.illustrations import without_pictures
from indexer.answers.sheet import contact_sheet
from indexer.answers.sr import similar_cases_report
from indexer.destinations import Destination
from tests.fakes.answers import answer_about, instance, uid, write
from tests.fakes.workstation import Workstation


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    paths = write(tmp_path / "q", instance("asked"))
    report = similar_cases_report(
        read_example(paths), answer_about(paths), question_id="q1", created=datetime(2026, 2, 3)
    )
    path = tmp_path / "answer.dcm"
    report.save_as(path, enforce_file_format=True)
    return path


@contextmanager
def scp(status: int, *syntaxes: str, sop_class: str = ComprehensiveSRStorage) -> Iterator[Destination]:
    entity = ApplicationEntity("WS1")
    entity.require_called_aet = True
    entity.add_supported_context(sop_class, list(syntaxes) or [ExplicitVRLittleEndian])

    def stored(event: Event) -> int:
        assert event.dataset.StudyInstanceUID == uid("asked")
        return status

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    assert server is not None
    try:
        yield Destination("WS1", "127.0.0.1", int(server.server_address[1]), "WS1")
    finally:
        server.shutdown()


def test_a_workstation_keeps_what_is_delivered(answer: Path, tmp_path: Path) -> None:
    with Workstation(tmp_path / "ws") as workstation:
        deliver(Destination("WS1", "localhost", workstation.port, "WS1"), [answer], ae_title="CBIR")
        [received] = workstation.answers()
    assert received == pydicom.dcmread(answer)


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB007])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_success_and_warnings_are_delivered_in_either_syntax(answer: Path, status: int, syntax: str) -> None:
    with scp(status, syntax) as destination:
        deliver(destination, [answer], ae_title="CBIR")


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0x0122])
def test_a_failure_is_undelivered_and_says_its_status(answer: Path, status: int) -> None:
    with scp(status) as destination, pytest.raises(Undelivered, match=f"0x{status:04X}"):
        deliver(destination, [answer], ae_title="CBIR")


def test_a_workstation_that_takes_nothing_of_an_answer_is_undelivered(answer: Path) -> None:
    with scp(0, sop_class=CTImageStorage) as destination, pytest.raises(Undelivered):
        deliver(destination, [answer], ae_title="CBIR")


def test_a_workstation_that_does_not_know_us_is_undelivered(answer: Path) -> None:
    with scp(0) as destination, pytest.raises(Undelivered, match="AE title"):
        wrong = Destination("WS1", destination.host, destination.port, "OTHER")
        deliver(wrong, [answer], ae_title="CBIR")


def test_a_workstation_that_is_down_is_undelivered(answer: Path) -> None:
    with pytest.raises(Undelivered, match="reached"):
        deliver(Destination("WS1", "127.0.0.1", free_port(), "WS1"), [answer], ae_title="CBIR")


def test_a_name_without_an_address_is_tried_again_later(answer: Path) -> None:
    """A name server that is down must not cost anybody an answer."""
    with pytest.raises(Undelivered, match="cannot be reached"):
        deliver(Destination("WS1", "no-such-host.invalid", 104, "WS1"), [answer], ae_title="CBIR")


@pytest.fixture
def both(tmp_path: Path, answer: Path) -> list[Path]:
    """A contact sheet and a report."""
    paths = write(tmp_path / "q", instance("asked"))
    example, found = read_example(paths), answer_about(paths)
    sheet = contact_sheet(
        example,
        found,
        without_pictures(example, found),
        question_id="q1",
        created=datetime(2026, 2, 3),
    )
    path = tmp_path / "sheet.dcm"
    sheet.save_as(path, enforce_file_format=True)
    return [path, answer]


def test_all_documents_come_in_one_association_in_their_order(both: list[Path], tmp_path: Path) -> None:
    with received_by(SecondaryCaptureImageStorage, ComprehensiveSRStorage) as (destination, received):
        deliver(destination, both, ae_title="CBIR")
    assert [sop_class for _, sop_class in received] == [SecondaryCaptureImageStorage, ComprehensiveSRStorage]
    assert len({association for association, _ in received}) == 1


@pytest.mark.parametrize("taken", [SecondaryCaptureImageStorage, ComprehensiveSRStorage])
def test_who_takes_only_one_kind_gets_that_and_the_log_says_so(
    both: list[Path], taken: str, caplog: pytest.LogCaptureFixture
) -> None:
    with received_by(taken) as (destination, received):
        deliver(destination, both, ae_title="CBIR")
    assert [sop_class for _, sop_class in received] == [taken]
    assert "answer_not_taken" in caplog.text


@contextmanager
def received_by(*sop_classes: str) -> Iterator[tuple[Destination, list[tuple[int, str]]]]:
    """A receiver, and what it gets: by which association, and of which SOP class."""
    received: list[tuple[int, str]] = []
    entity = ApplicationEntity("WS1")
    for sop_class in sop_classes:
        entity.add_supported_context(sop_class)

    def stored(event: Event) -> int:
        received.append((id(event.assoc), str(event.dataset.SOPClassUID)))
        return 0

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    assert server is not None
    try:
        yield Destination("WS1", "127.0.0.1", int(server.server_address[1]), "WS1"), received
    finally:
        server.shutdown()
