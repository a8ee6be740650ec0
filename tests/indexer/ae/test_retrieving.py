"""C-FIND, C-MOVE and C-GET by dcmtk's own clients, against the application entity on a real port."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity as Peer
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from cbir.ports import free_port
from indexer.adapters.dimse_store import DimseCarrier
from indexer.ae.answering import Answering
from indexer.ae.collecting import Collecting
from indexer.ae.entity import ApplicationEntity
from indexer.ae.finding import Finding
from indexer.ae.questions import Questions
from indexer.ae.retrieving import Retrieving
from indexer.ae.spool import Spool
from indexer.collecting import Deidentify, Identities
from indexer.collecting.shipping import SHIPMENTS
from indexer.destinations import Destination
from indexer.prompt_association import PROMPT
from tests.fakes.answers import PATIENT_ID, PATIENT_NAME, uid
from tests.fakes.collected import EXAMPLE, PSEUDONYMS, Collected, collected
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import Workstation, wait_until

FINDSCU, MOVESCU, GETSCU = "/usr/bin/findscu", "/usr/bin/movescu", "/usr/bin/getscu"


class Service:
    """The application entity over a folder of priors, in this process."""

    def __init__(
        self,
        house: Collected,
        *destinations: str,
        identities: Identities = "pseudonym",
        deidentify: Deidentify = "never",
        disguising: bool = False,
        place_wait_s: float = 10,
    ) -> None:
        callers = tuple(Destination.parse(f"{name}=localhost:104") for name in ("WS1", "WS2"))
        cases = house.cases(identities, deidentify, disguising=disguising)
        self.shipping = house.shipping(disguising=disguising)
        self.questions = Questions(
            spool=Spool(house.folder / "questions"),
            answering=Answering(FakeSearcher()),
            deliver=lambda *_: None,
            callers=callers,
        )
        self.entity = ApplicationEntity(
            ae_title="CBIR",
            host="127.0.0.1",
            port=0,
            callers=callers,
            questions=self.questions,
            collecting=Collecting(
                Finding(cases),
                Retrieving(
                    cases,
                    self.shipping,
                    DimseCarrier("CBIR"),
                    tuple(map(Destination.parse, destinations)),
                    place_wait_s,
                ),
            ),
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


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path / "house") as house:
        house.prior("head", series=2, instances=3)
        house.prior("chest", instances=40)
        yield house


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    with Workstation(tmp_path / "received", ae_title="STORE") as started:
        yield started


def run(program: str, port: int, *options: str, calling: str = "WS1") -> str:
    """What one of dcmtk's clients says, on both streams, however it ends."""
    done = subprocess.run(
        [program, "-v", "-aet", calling, "-aec", "CBIR", *options, "127.0.0.1", str(port)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def received(folder: Path) -> dict[str, Dataset]:
    """What lies in a folder, by SOP Instance UID."""
    found = [dcmread(path) for path in folder.iterdir()]
    return {dataset.SOPInstanceUID: dataset for dataset in found}


def uids_of(house: Collected, name: str) -> set[str]:
    return set(received(house.folder / "priors" / name))


def test_findscu_lists_the_last_questions_cases(house: Collected) -> None:
    house.answered("WS1", "chest", "head")
    with Service(house) as service:
        said = run(
            FINDSCU, service.port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDescription",
            "-k", "StudyInstanceUID", "-k", "PatientName",
        )  # fmt: skip
        assert re.findall(r"\[(0\d  [^\]]*)\]", said) == [
            "01  very alike, 99.4 %  0.900  not for diagnosis",
            "02  alike, 97 %  0.800  not for diagnosis ",
        ]
        assert len(set(re.findall(r"CASE-[0-9A-F]{12}", said))) == 2
        nothing = run(FINDSCU, service.port, "-S", "-k", "QueryRetrieveLevel=STUDY", calling="WS2")
        assert "Success" in nothing or "Received Final Find Response" in nothing
        assert "StudyInstanceUID" not in nothing


def test_findscu_matches_keys_at_every_level(house: Collected) -> None:
    house.answered("WS1", "chest", "head")
    with Service(house) as service:
        by_pattern = run(
            FINDSCU, service.port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDescription=02*",
            "-k", "StudyInstanceUID", "-k", "StudyDate=20190101-20201231",
        )  # fmt: skip
        assert uid("head") in by_pattern
        assert uid("chest") not in by_pattern
        by_patient = run(
            FINDSCU, service.port, "-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=CASE-*"
        )
        assert len(re.findall(r"\(0010,0020\) LO \[CASE-", by_patient)) == 3, "one of them is the request"
        images = run(
            FINDSCU, service.port, "-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID",
            "-k", f"StudyInstanceUID={uid('head')}", "-k", f"SeriesInstanceUID={uid('head', '1')}",
        )  # fmt: skip
        assert len(re.findall(r"\(0008,0018\) UI \[[\d.]+", images)) == 3


def test_a_refusal_is_told_in_the_status_and_its_comment(house: Collected) -> None:
    house.answered("WS1", refused="blank", message="The frame shows nothing.")
    with Service(house) as service:
        said = run(FINDSCU, service.port, "-d", "-S", "-k", "QueryRetrieveLevel=STUDY")
    assert "0xc002" in said.lower()
    assert "Refused (blank)" in said


def test_movescu_brings_a_study_to_a_destination(house: Collected, workstation: Workstation) -> None:
    house.answered("WS1", "chest", "head")
    with Service(house, f"STORE=localhost:{workstation.port}") as service:
        said = run(
            MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={uid('chest')}",
        )  # fmt: skip
    assert "Received Final Move Response (Success)" in said
    got = received(workstation.folder)
    assert set(got) == uids_of(house, "chest")
    stored = received(house.folder / "priors" / "chest")
    assert all(dataset.PixelData == stored[name].PixelData for name, dataset in got.items())


def test_movescu_brings_one_series_or_one_instance(house: Collected, workstation: Workstation) -> None:
    house.answered("WS1", "head")
    study = ("-k", f"StudyInstanceUID={uid('head')}", "-k", f"SeriesInstanceUID={uid('head', '2')}")
    with Service(house, f"STORE=localhost:{workstation.port}") as service:
        run(
            MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=IMAGE", *study,
            "-k", f"SOPInstanceUID={uid('head', '2', '3')}",
        )  # fmt: skip
        assert set(received(workstation.folder)) == {uid("head", "2", "3")}
        run(MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=SERIES", *study)
        assert set(received(workstation.folder)) == {uid("head", "2", str(n)) for n in (1, 2, 3)}


def test_nothing_goes_to_a_destination_that_is_not_configured(house: Collected) -> None:
    house.answered("WS1", "head")
    with Service(house) as service:
        said = run(
            MOVESCU, service.port, "-d", "-S", "-aem", "ELSEWHERE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={uid('head')}",
        )  # fmt: skip
    assert "0xa801" in said.lower()


def test_another_callers_case_is_not_sent(house: Collected, workstation: Workstation) -> None:
    house.answered("WS1", "head")
    with Service(house, f"STORE=localhost:{workstation.port}") as service:
        run(
            MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={uid('head')}", calling="WS2",
        )  # fmt: skip
        said = run(
            MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={uid('never found')}",
        )  # fmt: skip
    assert "Success" in said
    assert received(workstation.folder) == {}


def test_a_retrieval_that_names_nothing_is_refused(house: Collected, workstation: Workstation) -> None:
    house.answered("WS1", "head")
    with Service(house, f"STORE=localhost:{workstation.port}") as service:
        said = run(MOVESCU, service.port, "-d", "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY")
    assert "0xa900" in said.lower()
    assert received(workstation.folder) == {}


def test_getscu_takes_a_study_over_its_own_association(house: Collected, tmp_path: Path) -> None:
    house.answered("WS1", "chest")
    folder = tmp_path / "got"
    folder.mkdir()
    with Service(house) as service:
        said = run(
            GETSCU, service.port, "-S", "-od", str(folder), "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={uid('chest')}",
        )  # fmt: skip
    assert "Success" in said
    assert set(received(folder)) == uids_of(house, "chest")


def test_a_whole_patient_is_sent_by_the_word_that_stands_for_it(
    house: Collected, workstation: Workstation
) -> None:
    house.answered("WS1", "head")
    name = PSEUDONYMS.case_name(PSEUDONYMS.of("", "PRIOR-head") or "")
    with Service(house, f"STORE=localhost:{workstation.port}") as service:
        run(
            MOVESCU, service.port, "-P", "-aem", "STORE", "-k", "QueryRetrieveLevel=PATIENT",
            "-k", f"PatientID={name}",
        )  # fmt: skip
    assert set(received(workstation.folder)) == uids_of(house, "head")


def test_a_case_is_sent_without_its_name_when_the_policy_says_so(
    house: Collected, workstation: Workstation
) -> None:
    house.answered("WS1", "head")
    with Service(
        house, f"STORE=localhost:{workstation.port}", deidentify="always", disguising=True
    ) as service:
        run(
            MOVESCU, service.port, "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={PSEUDONYMS.uid(uid('head'))}",
        )  # fmt: skip
    got = received(workstation.folder)
    assert len(got) == 6
    assert {dataset.StudyInstanceUID for dataset in got.values()} == {PSEUDONYMS.uid(uid("head"))}
    assert {str(dataset.PatientID)[:5] for dataset in got.values()} == {"CASE-"}
    assert not any("Prior" in str(dataset) for dataset in got.values())


def test_an_archive_that_cannot_deidentify_sends_nothing(house: Collected, workstation: Workstation) -> None:
    house.answered("WS1", "head")
    with Service(house, f"STORE=localhost:{workstation.port}", deidentify="others") as service:
        said = run(
            MOVESCU, service.port, "-d", "-S", "-aem", "STORE", "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={PSEUDONYMS.uid(uid('head'))}",
        )  # fmt: skip
    assert "0xa702" in said.lower()
    assert received(workstation.folder) == {}


class Taker:
    """A peer that takes some transfer syntaxes, refuses what it is told to, and may hang up after some.

    `before_each` is called before each instance is taken.
    """

    def __init__(
        self, *syntaxes: str, refuses: frozenset[str] = frozenset(), hangs_up_after: int = 0
    ) -> None:
        self.syntaxes = list(syntaxes)
        self.refuses = refuses
        self.hangs_up_after = hangs_up_after
        self.took: list[tuple[str, str]] = []
        self.opened_at: list[float] = []
        self.before_each: Callable[[], object] = lambda: None
        self.port = free_port()

    def __enter__(self) -> Taker:
        peer = Peer("TAKER")
        peer.add_supported_context(CTImageStorage, self.syntaxes)
        peer.add_supported_context(Verification)
        peer.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                *PROMPT,
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_REQUESTED, lambda _: self.opened_at.append(time.monotonic())),
            ],
        )
        self.peer = peer
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.shutdown()

    def _store(self, event: Event) -> int:
        self.before_each()
        name = str(cast(C_STORE, event.request).AffectedSOPInstanceUID)
        if self.hangs_up_after and len(self.took) == self.hangs_up_after:
            event.assoc.abort()
            return 0xA700
        if name in self.refuses:
            return 0xA700
        self.took.append((name, str(event.context.transfer_syntax)))
        return 0


def moved(
    service: Service,
    study: str,
    *,
    cancel_after: int = 0,
    called_off: Callable[[], object] = lambda: None,
) -> list[tuple[Dataset, Dataset | None]]:
    """The responses of a C-MOVE of a study to TAKER by pynetdicom, called off after some of them."""
    scu = Peer("WS1")
    scu.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    association = scu.associate("127.0.0.1", service.port, ae_title="CBIR", evt_handlers=PROMPT)
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", study
    responses: list[tuple[Dataset, Dataset | None]] = []
    for response in association.send_c_move(wanted, "TAKER", StudyRootQueryRetrieveInformationModelMove):
        responses.append(response)
        if len(responses) == cancel_after:
            association.send_c_cancel(1, query_model=StudyRootQueryRetrieveInformationModelMove)
            called_off()
    association.release()
    return responses


def test_what_fails_is_named_and_the_rest_arrives(house: Collected) -> None:
    house.answered("WS1", "head")
    bad = uid("head", "1", "2")
    with (
        Taker(ExplicitVRLittleEndian, refuses=frozenset({bad})) as taker,
        Service(house, f"TAKER=localhost:{taker.port}") as service,
    ):
        responses = moved(service, uid("head"))
    final, identifier = responses[-1]
    assert final.Status == 0xB000
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (5, 1)
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == bad
    assert [status.Status for status, _ in responses[:-1]] == [0xFF00] * 6
    assert [status.NumberOfRemainingSuboperations for status, _ in responses[:-1]] == [5, 4, 3, 2, 1, 0]
    assert len(taker.took) == 5


def test_nothing_more_is_fetched_for_a_destination_that_hung_up(
    house: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    house.answered("WS1", "chest")
    with (
        Taker(ExplicitVRLittleEndian, hangs_up_after=3) as taker,
        Service(house, f"TAKER=localhost:{taker.port}") as service,
    ):
        responses = moved(service, uid("chest"))
    final, _ = responses[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0xA702, 3)
    assert final.NumberOfFailedSuboperations == 37
    assert len(responses) <= 6, "one that failed, and no attempt at the others"
    assert "destination_hung_up" in caplog.text


def test_a_retrieval_can_be_called_off(house: Collected) -> None:
    house.answered("WS1", "chest")
    with (
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}") as service,
    ):
        heard = threading.Event()
        taker.before_each = lambda: len(taker.took) < 2 or heard.wait(60)

        def called_off() -> None:
            """The service has heard it; until then the taker keeps the third instance waiting."""
            connected = service.entity._entity.active_associations
            wait_until(lambda: any(association.dimse.cancel_req for association in connected))
            heard.set()

        responses = moved(service, uid("chest"), cancel_after=2, called_off=called_off)
    assert responses[-1][0].Status == 0xFE00
    assert len(taker.took) == 3


def test_an_unreachable_destination_is_told_of(house: Collected) -> None:
    house.answered("WS1", "head")
    with Service(house, f"TAKER=localhost:{free_port()}") as service:
        [(status, _)] = moved(service, uid("head"))
    assert status.Status == 0xA801


def test_no_destination_is_kept_waiting_on_an_open_association(house: Collected) -> None:
    house.answered("WS1", "head")
    with (
        ExitStack() as others,
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}", place_wait_s=60) as service,
    ):
        for _ in range(SHIPMENTS):
            others.enter_context(service.shipping.place(timeout_s=0))
        freed_at = time.monotonic() + 1
        threading.Timer(1, others.close).start()
        assert moved(service, uid("head"))[-1][0].Status == 0
    assert len(taker.took) == 6
    assert min(taker.opened_at) >= freed_at


def test_a_retrieval_that_gets_no_turn_is_told_so(house: Collected) -> None:
    house.answered("WS1", "head")
    with (
        ExitStack() as others,
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}", place_wait_s=0.1) as service,
    ):
        for _ in range(SHIPMENTS):
            others.enter_context(service.shipping.place(timeout_s=0))
        assert moved(service, uid("head"))[-1][0].Status == 0xA702
    assert taker.took == []


def test_retrievals_that_come_to_nothing_keep_no_turn(house: Collected) -> None:
    house.answered("WS1", "head")
    with (
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}", place_wait_s=0.1) as service,
    ):
        for _ in range(SHIPMENTS + 1):
            taker.hangs_up_after, taker.took = 1, []
            assert moved(service, uid("head"))[-1][0].Status == 0xA702
            assert len(moved(service, uid("head"), cancel_after=1)) >= 1
        taker.hangs_up_after, taker.took = 0, []
        assert moved(service, uid("head"))[-1][0].Status == 0
    assert len(taker.took) == 6


def compress(house: Collected, name: str) -> None:
    """Let the instances of a prior be JPEG 2000, as far as anybody looks without decoding."""
    for path in (house.folder / "priors" / name).iterdir():
        dataset = dcmread(path)
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51 not decoded by anybody here"])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.save_as(path)


def test_compressed_instances_go_as_they_are_to_whom_can_read_them(house: Collected) -> None:
    compress(house, "head")
    house.answered("WS1", "head")
    with (
        Taker(JPEG2000Lossless, ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}") as service,
    ):
        assert moved(service, uid("head"))[-1][0].Status == 0
    assert {syntax for _, syntax in taker.took} == {JPEG2000Lossless}


def test_what_the_destination_cannot_read_and_nobody_can_transcode_fails(house: Collected) -> None:
    compress(house, "head")
    house.answered("WS1", "head")
    with (
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}") as service,
    ):
        final, identifier = moved(service, uid("head"))[-1]
    assert (final.Status, final.NumberOfFailedSuboperations, taker.took) == (0xA702, 6, [])
    assert identifier is not None
    assert set(identifier.FailedSOPInstanceUIDList) == uids_of(house, "head")


def test_only_a_few_instances_are_on_the_disk_at_once(
    house: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive here makes a file for each copy, as Orthanc does."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    house.answered("WS1", "chest")
    on_disk: list[int] = []
    with (
        Taker(ExplicitVRLittleEndian) as taker,
        Service(house, f"TAKER=localhost:{taker.port}", deidentify="always", disguising=True) as service,
    ):
        taker.before_each = lambda: on_disk.append(len(list(temporary.rglob("*.dcm"))))
        assert moved(service, PSEUDONYMS.uid(uid("chest")))[-1][0].Status == 0
    assert len(taker.took) == len(on_disk) == 40
    assert 1 <= min(on_disk) <= max(on_disk) <= 16
    assert list(temporary.rglob("*")) == []


def test_a_get_at_patient_root_needs_the_roles_turned_round(house: Collected) -> None:
    house.answered("WS1", "head")
    name = PSEUDONYMS.case_name(PSEUDONYMS.of("", "PRIOR-head") or "")
    got: list[str] = []

    def store(event: Event) -> int:
        got.append(str(cast(C_STORE, event.request).AffectedSOPInstanceUID))
        return 0

    with Service(house) as service:
        for turned in (False, True):
            scu = Peer("WS1")
            scu.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
            scu.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid, role.scu_role, role.scp_role = CTImageStorage, False, True
            association = scu.associate(
                "127.0.0.1",
                service.port,
                ae_title="CBIR",
                ext_neg=[role] if turned else [],
                evt_handlers=[*PROMPT, (evt.EVT_C_STORE, store)],
            )
            assert association.is_established
            wanted = Dataset()
            wanted.QueryRetrieveLevel, wanted.PatientID = "PATIENT", name
            responses = association.send_c_get(wanted, PatientRootQueryRetrieveInformationModelGet)
            final = list(responses)[-1][0]
            association.release()
            assert final.Status == (0 if turned else 0xA702)
    assert set(got) == uids_of(house, "head")


def test_no_response_of_any_kind_carries_the_examples_patient(
    house: Collected, workstation: Workstation, tmp_path: Path
) -> None:
    house.answered("WS1", "head")
    keys = ("-k", "PatientName", "-k", "PatientID", "-k", "PatientBirthDate", "-k", "StudyInstanceUID")
    for identities in ("none", "pseudonym", "archive"):
        with Service(
            house,
            f"STORE=localhost:{workstation.port}",
            identities=identities,
        ) as service:
            for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
                said = run(FINDSCU, service.port, "-P", "-k", f"QueryRetrieveLevel={level}", *keys)
                assert "Success" in said
                for word in (PATIENT_NAME, PATIENT_ID, uid(EXAMPLE)):
                    assert word not in said
