from __future__ import annotations

import logging
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import build_context, evt
from pynetdicom.ae import ApplicationEntity as Scu
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from cbir.ports import free_port
from indexer.ae.answering import Answering
from indexer.ae.delivery import deliver
from indexer.ae.entity import REQUEST_TIMEOUT_S, ApplicationEntity
from indexer.ae.patience import Patience
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.destinations import Destination
from indexer.prompt_association import PROMPT
from tests.fakes.answers import PATIENT_ID, PATIENT_NAME, instance, uid, write
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import Workstation, echo, listens, send, wait_until

PATIENCE = Patience(quiet_s=0.3, held_s=600.0, retry_first_s=0.1, retry_longest_s=0.3)


REJECTED = b"\x03"
"""The type of an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""


def association_request(calling: str, called: str) -> bytes:
    """An A-ASSOCIATE-RQ PDU that asks for C-ECHO (PS3.8 9.3.2)."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    wanted = build_context(Verification)
    wanted.context_id = 1
    primitive.presentation_context_definition_list = [wanted]
    length = MaximumLengthNotification()
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID("1.2.3")
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


class Service:
    """The application entity with its questions, in this process."""

    def __init__(
        self,
        folder: Path,
        *callers: str,
        searcher: FakeSearcher | None = None,
        patience: Patience = PATIENCE,
        **spool: int,
    ) -> None:
        self.folder = folder
        self.searcher = searcher or FakeSearcher()
        known = tuple(Destination.parse(caller) for caller in callers)
        self.questions = Questions(
            spool=Spool(folder, **spool),
            answering=Answering(self.searcher),
            deliver=lambda destination, path: deliver(destination, path, ae_title="CBIR"),
            callers=known,
            patience=patience,
        )
        self.entity = ApplicationEntity(
            ae_title="CBIR", host="127.0.0.1", port=0, callers=known, questions=self.questions
        )

    def __enter__(self) -> Service:
        self.questions.start()
        self.entity.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.entity.stop()
        self.questions.stop()

    @property
    def port(self) -> int:
        return self.entity.port

    def is_empty(self) -> bool:
        return len(self.questions) == 0 and not list(self.folder.iterdir())


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    with Workstation(tmp_path / "workstation") as started:
        yield started


@pytest.fixture
def service(tmp_path: Path, workstation: Workstation) -> Iterator[Service]:
    with Service(tmp_path / "questions", f"WS1=localhost:{workstation.port}") as started:
        yield started


def associate(port: int, *syntaxes: str, calling: str = "WS1") -> Association:
    scu = Scu(calling)
    scu.add_requested_context(CTImageStorage, list(syntaxes) or [ExplicitVRLittleEndian])
    association = scu.associate("127.0.0.1", port, ae_title="CBIR", evt_handlers=PROMPT)
    assert association.is_established
    return association


def test_a_configured_caller_gets_an_echo(service: Service) -> None:
    assert echo(service.port).returncode == 0


def test_an_unknown_caller_is_rejected_at_association(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    refused = echo(service.port, calling="STRANGER")
    assert refused.returncode != 0
    assert "Calling AE Title Not Recognized" in refused.stderr + refused.stdout
    assert "association_rejected calling='STRANGER'" in caplog.text


def test_a_wrong_called_title_is_rejected_at_association(service: Service) -> None:
    refused = echo(service.port, called="ORTHANC")
    assert refused.returncode != 0
    assert "Called AE Title Not Recognized" in refused.stderr + refused.stdout


@pytest.mark.parametrize("time", range(10))
def test_ending_while_somebody_is_turned_away_breaks_no_thread(tmp_path: Path, time: int) -> None:
    """A thread that breaks fails the test; one time in ten it did."""
    with socket.socket() as stranger:
        with Service(tmp_path / "questions", "WS1=localhost:104") as service:
            stranger.connect(("127.0.0.1", service.port))
            stranger.sendall(association_request("STRANGER", "CBIR"))
            assert stranger.recv(1) == REJECTED, time
        assert service.entity.connections == 0


@pytest.mark.parametrize("says", [b"", b"\x01\x00"])
def test_ending_while_somebody_is_connected_and_not_associated_breaks_no_thread(
    tmp_path: Path, says: bytes
) -> None:
    with socket.socket() as stranger:
        with Service(tmp_path / "questions", "WS1=localhost:104") as service:
            stranger.connect(("127.0.0.1", service.port))
            stranger.sendall(says)
            wait_until(lambda: service.entity.connections == 1)
        wait_until(lambda: service.entity.connections == 0)


def test_whoever_hangs_up_without_a_request_keeps_no_place(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)):
        wait_until(lambda: service.entity.connections == 1)
    wait_until(lambda: service.entity.connections == 0, timeout_s=REQUEST_TIMEOUT_S - 1)


def test_a_known_title_from_another_address_is_rejected(tmp_path: Path) -> None:
    with Service(tmp_path / "questions", "WS1=192.0.2.1:104") as service:
        refused = echo(service.port)
        assert "Calling AE Title Not Recognized" in refused.stderr + refused.stdout


def test_without_callers_everybody_is_rejected_and_the_log_names_the_setting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Service(tmp_path / "questions") as service:
        assert echo(service.port).returncode != 0
    assert "CBIR_CALLERS" in caplog.text


def test_a_study_that_is_sent_is_answered_in_its_own_study_and_then_forgotten(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    paths = write(tmp_path / "q", instance("asked", number=1), instance("asked", number=2))
    assert send(service.port, paths).returncode == 0
    [answer] = workstation.waits_for(1)
    assert answer.StudyInstanceUID == uid("asked")
    assert answer.PatientID == PATIENT_ID
    assert service.searcher.asked == [("WS1", tuple(sorted(path.stem for path in paths)))]
    wait_until(service.is_empty)


def test_a_file_reaches_the_search_with_every_byte_of_its_dataset(service: Service, tmp_path: Path) -> None:
    paths = write(tmp_path / "q", instance("asked"))
    send(service.port, paths)
    wait_until(lambda: bool(service.searcher.contents))
    [[received]] = service.searcher.contents
    sent = pydicom.dcmread(paths[0])
    with paths[0].open("rb") as file:
        file.seek(128 + 4 + 12 + sent.file_meta.FileMetaInformationGroupLength)
        assert received.endswith(file.read())


def test_compressed_pixels_are_kept_as_they_are(service: Service, tmp_path: Path) -> None:
    codestream = b"\xff\x4f\xff\x51 not decoded by anybody here"
    dataset = instance("asked", PixelData=encapsulate([codestream]))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    paths = write(tmp_path / "q", dataset)
    sent = send(service.port, paths, "-xv")
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: bool(service.searcher.contents))
    [[received]] = service.searcher.contents
    assert codestream in received
    assert str(JPEG2000Lossless).encode() in received


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.201",
        "1.2.840.10008.1.2.5",
    ],
)
def test_every_common_transfer_syntax_is_accepted(service: Service, syntax: str) -> None:
    association = associate(service.port, syntax)
    assert [context.transfer_syntax for context in association.accepted_contexts] == [[UID(syntax)]]
    association.release()


def test_a_dataset_without_a_study_is_refused_as_not_understood(service: Service) -> None:
    association = associate(service.port)
    assert association.send_c_store(instance("asked", StudyInstanceUID=None)).Status == 0xC000
    assert service.is_empty()
    association.release()


def test_a_path_for_a_uid_is_refused_as_not_understood(service: Service, tmp_path: Path) -> None:
    [path] = write(tmp_path / "q", instance("asked"))
    own = uid("asked").encode()
    path.write_bytes(path.read_bytes().replace(own, b"../../".ljust(len(own), b"x")))
    refused = send(service.port, [path])
    assert "CannotUnderstand" in refused.stderr + refused.stdout
    assert service.is_empty()


def test_a_dataset_that_is_not_what_it_is_announced_as_is_refused(service: Service) -> None:
    association = associate(service.port)
    dataset = instance("asked")
    status = association.send_c_store(_announced_as(dataset, uid("another")))
    assert status.Status == 0xA900
    association.release()


def _announced_as(dataset: Dataset, sop_instance_uid: str) -> Dataset:
    """A dataset whose attribute says one instance and whose elements, when encoded, another."""

    class Liar(Dataset):
        @property
        def SOPInstanceUID(self) -> UID:  # noqa: N802
            return UID(sop_instance_uid)

    liar = Liar()
    liar.update(dataset)
    liar.file_meta = dataset.file_meta
    return liar


def test_when_there_is_no_room_the_sender_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    with Service(tmp_path / "questions", f"WS1=localhost:{free_port()}", max_bytes=100) as service:
        association = associate(service.port)
        assert association.send_c_store(instance("asked")).Status == 0xA700
        association.release()
        wait_until(service.is_empty)


def test_a_nearly_full_disk_refuses_before_it_is_full(tmp_path: Path) -> None:
    with Service(tmp_path / "questions", f"WS1=localhost:{free_port()}", min_free_bytes=2**60) as service:
        association = associate(service.port)
        assert association.send_c_store(instance("asked")).Status == 0xA700
        association.release()


def test_twenty_associations_at_once_lose_nothing(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    studies = {
        f"study {n}": write(tmp_path / str(n), *(instance(f"study {n}", number=i) for i in range(1, 6)))
        for n in range(20)
    }
    with ThreadPoolExecutor(20) as pool:
        sent = list(pool.map(lambda paths: send(service.port, paths), studies.values()))
    assert [s.returncode for s in sent] == [0] * 20
    answers = workstation.waits_for(20, timeout_s=90)
    assert sorted(a.StudyInstanceUID for a in answers) == sorted(uid(study) for study in studies)
    assert sorted(len(names) for _, names in service.searcher.asked) == [5] * 20
    wait_until(service.is_empty)


def test_studies_interleaved_in_one_association_get_an_answer_each(
    service: Service, workstation: Workstation
) -> None:
    association = associate(service.port)
    for number in (1, 2, 3):
        for study in ("first", "second"):
            assert association.send_c_store(instance(study, number=number)).Status == 0
    assert service.searcher.asked == []
    association.release()
    answers = workstation.waits_for(2)
    assert {a.StudyInstanceUID for a in answers} == {uid("first"), uid("second")}
    assert [len(names) for _, names in service.searcher.asked] == [3, 3]


def test_a_question_waits_for_the_association_that_holds_it(service: Service) -> None:
    association = associate(service.port)
    association.send_c_store(instance("asked", number=1))
    with pytest.raises(AssertionError, match="waited in vain"):
        wait_until(lambda: bool(service.searcher.asked), timeout_s=0.7)
    association.send_c_store(instance("asked", number=2))
    association.release()
    wait_until(lambda: bool(service.searcher.asked))
    assert [len(names) for _, names in service.searcher.asked] == [2]


def test_a_sender_that_never_hangs_up_is_answered_all_the_same(
    workstation: Workstation, tmp_path: Path
) -> None:
    patience = replace(PATIENCE, held_s=1.0)
    caller = f"WS1=localhost:{workstation.port}"
    with Service(tmp_path / "questions", caller, patience=patience) as service:
        association = associate(service.port)
        association.send_c_store(instance("asked"))
        wait_until(lambda: bool(service.searcher.asked))
        assert association.is_established
        association.release()


def test_a_sender_that_breaks_off_is_answered_on_what_it_sent(service: Service) -> None:
    association = associate(service.port)
    association.send_c_store(instance("asked"))
    association.abort()
    wait_until(lambda: bool(service.searcher.asked))


def test_two_callers_asking_about_one_study_get_an_answer_each(tmp_path: Path) -> None:
    paths = write(tmp_path / "q", instance("asked"))
    with (
        Workstation(tmp_path / "one") as one,
        Workstation(tmp_path / "two", "WS2") as two,
        Service(tmp_path / "questions", f"WS1=localhost:{one.port}", f"WS2=localhost:{two.port}") as service,
    ):
        send(service.port, paths, calling="WS1")
        send(service.port, paths, calling="WS2")
        assert one.waits_for(1)[0].SOPInstanceUID != two.waits_for(1)[0].SOPInstanceUID


def test_the_answer_calls_the_workstation_by_its_other_title(tmp_path: Path) -> None:
    """A pynetdicom SCP that insists on its title."""
    called: list[str] = []

    def keep(event: Event) -> int:
        called.append(event.dataset.StudyInstanceUID)
        return 0

    scp = Scu("ORTHANC")
    scp.require_called_aet = True
    scp.add_supported_context("1.2.840.10008.5.1.4.1.1.88.33", [ImplicitVRLittleEndian])
    server = scp.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert server is not None
    try:
        destination = f"WS1=ORTHANC@127.0.0.1:{server.server_address[1]}"
        with Service(tmp_path / "questions", destination) as service:
            send(service.port, write(tmp_path / "q", instance("asked")))
            wait_until(lambda: called == [uid("asked")])
            wait_until(service.is_empty)
    finally:
        server.shutdown()


def test_nothing_that_is_logged_names_the_patient(
    service: Service, workstation: Workstation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(service.port, write(tmp_path / "q", instance("asked")))
    workstation.waits_for(1)
    wait_until(service.is_empty)
    for private in (PATIENT_NAME, PATIENT_ID, "Nightingale", "18200512"):
        assert private not in caplog.text
    assert "answer_delivered" in caplog.text


def test_the_spool_is_for_its_owner_only(service: Service, tmp_path: Path) -> None:
    assert service.folder.stat().st_mode & 0o777 == 0o700


def test_it_listens_where_it_is_told_and_stops(tmp_path: Path) -> None:
    with Service(tmp_path / "questions", "WS1=localhost:104") as service:
        port = service.port
        assert listens(port)
    assert not listens(port)


def test_the_real_clients_are_those_of_dcmtk() -> None:
    for program in ("storescu", "storescp", "echoscu"):
        found = shutil.which(program, path="/usr/bin")
        assert found is not None
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        assert "dcmtk" in version.stdout
