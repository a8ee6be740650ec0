"""A workstation without any plug-in asks, lists and collects, by dcmtk's clients; cases are pushed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from rich.console import Console

from cbir.ports import free_port
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import Walk, hospital
from indexer.answers.identity import MANUFACTURER
from tests.fakes.workstation import Workstation as Receiver
from tests.integration.conftest import (
    ANSWER_WAIT_S,
    ASKING,
    HTTP_WAIT_S,
    Programs,
    answer_to,
    looked_up,
    series_count,
    store,
    wait_until_indexed,
)

pytestmark = pytest.mark.orthanc

FAMILY = next(family for family in FAMILIES if family.name == "brain-mr")
ARCHIVED = 4


class Hospital:
    """A filled hospital, and a place that cases may be sent to beside the workstation."""

    def __init__(self, walk: Walk, folder: Path, port: int, studies: Sequence[WrittenStudy]) -> None:
        self.walk = walk
        self.receiver = Receiver(folder, ae_title="ROOM2", port=port)
        self.archived, self.unknown = studies[:ARCHIVED], studies[ARCHIVED]

    def run(self, program: str, *options: str, calling: str = "WORKSTATION") -> str:
        """What a client of dcmtk says, on both streams, however it ends."""
        command = [f"/usr/bin/{program}", "-v", "-aet", calling, "-aec", "CBIR", *options]
        done = subprocess.run(
            [*command, "127.0.0.1", str(self.walk.service.dimse_port)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=120,
        )
        return done.stdout + done.stderr

    def listed(self, *keys: str, calling: str = "WORKSTATION") -> list[str]:
        """The Study Instance UIDs of a C-FIND."""
        named = [
            part for key in ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", *keys) for part in ("-k", key)
        ]
        said = self.run("findscu", "-S", *named, calling=calling)
        assert "Received Final Find Response (Success)" in said, said
        responses = said.split("Find Response: ")[1:]
        return [uid for text in responses for uid in re.findall(r"\(0020,000d\) UI \[([\d.]+)", text)]

    def received(self) -> Mapping[str, Dataset]:
        """What came to ROOM2, by SOP Instance UID."""
        found = [dcmread(path) for path in self.receiver.folder.iterdir()]
        return {dataset.SOPInstanceUID: dataset for dataset in found}

    def forget_received(self) -> None:
        for path in self.receiver.folder.iterdir():
            path.unlink()


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    return list(
        write_studies(tmp_path_factory.mktemp("studies"), per_family=ARCHIVED + 1, families=(FAMILY,))
    )


@pytest.fixture(scope="module", params=["never", "always"])
def house(
    request: pytest.FixtureRequest,
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
    studies: Sequence[WrittenStudy],
) -> Iterator[Hospital]:
    """A hospital that sends cases as they are, and one that de-identifies each of them."""
    folder, port = tmp_path_factory.mktemp("hospital"), free_port()
    environment = {
        "CBIR_DESTINATIONS": f"ROOM2=127.0.0.1:{port}",
        "CBIR_DEIDENTIFY": request.param,
        "CBIR_PUSH_TOP": "1",
    }
    with hospital(folder, environment, programs=programs) as walk:
        made = Hospital(walk, folder / "room2", port, studies)
        for study in made.archived:
            store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
        wait_until_indexed(walk, Console(quiet=True), series=ARCHIVED * series_count(studies[0]))
        assert answer_to(walk, made.unknown.paths) is not None
        with made.receiver:
            yield made


@pytest.fixture
def deidentifies(house: Hospital) -> bool:
    return house.walk.service.environment["CBIR_DEIDENTIFY"] == "always"


def test_the_workstation_lists_and_collects_what_its_question_found(
    house: Hospital, *, deidentifies: bool
) -> None:
    """By storescu to ask (the fixture), findscu to list, movescu to have the best case sent."""
    listed = house.listed("StudyDescription", "PatientName")
    assert len(listed) == ARCHIVED
    own = {study.study_instance_uid for study in house.archived}
    assert (set(listed) == own) is not deidentifies
    assert house.listed("StudyDescription=01*") == listed[:1]
    assert house.listed("ModalitiesInStudy=MR", "StudyDate=19000101-") == listed
    assert house.listed("StudyDate=-19000101") == []

    house.forget_received()
    said = house.run(
        "movescu",
        "-S",
        "-aem",
        "ROOM2",
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        f"StudyInstanceUID={listed[0]}",
    )
    assert "Received Final Move Response (Success)" in said, said
    got = house.received()
    assert {dataset.StudyInstanceUID for dataset in got.values()} == {listed[0]}
    best = next(s for s in house.archived if deidentifies or s.study_instance_uid == listed[0])
    assert len(got) == len(best.paths)
    check_names(got.values(), deidentifies=deidentifies)


def check_names(datasets: Iterable[Dataset], *, deidentifies: bool) -> None:
    """Whether the instances name their patients as the policy has it, and have their pixels."""
    for dataset in datasets:
        assert str(dataset.PatientID).startswith("CASE-") is deidentifies
        assert (dataset.get("PatientIdentityRemoved", "") == "YES") is deidentifies
        assert dataset.pixel_array.size > 0


def test_the_best_case_came_with_the_answer(house: Hospital, *, deidentifies: bool) -> None:
    """CBIR_PUSH_TOP=1."""
    [best, *_] = house.listed()
    count = len(house.archived[0].paths)
    pushed: list[Dataset] = []
    while len(pushed) < count:
        dataset = house.walk.workstation.next_received(ANSWER_WAIT_S)
        assert dataset is not None, house.walk.service.log_path.read_text()[-3000:]
        if dataset.get("Manufacturer", "") != MANUFACTURER:
            pushed.append(dataset)
    assert {dataset.StudyInstanceUID for dataset in pushed} == {best}
    check_names(pushed, deidentifies=deidentifies)


def test_another_caller_finds_and_gets_nothing(house: Hospital) -> None:
    [best, *_] = house.listed()
    assert house.listed(calling="ORTHANC") == []
    house.forget_received()
    wanted = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={best}")
    house.run("movescu", "-S", "-aem", "ROOM2", *wanted, calling="ORTHANC")
    assert house.received() == {}


def test_a_case_is_moved_into_an_orthanc(house: Hospital) -> None:
    best = house.listed()[1]
    said = house.run(
        *("movescu", "-S", "-aem", house.walk.orthanc.ae_title),
        *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={best}"),
    )
    assert "Received Final Move Response (Success)" in said, said
    assert looked_up(house.walk, best)


def test_a_case_comes_over_the_askers_own_association(house: Hospital, tmp_path: Path) -> None:
    [best, *_] = house.listed()
    said = house.run(
        *("getscu", "-S", "-od", str(tmp_path)),
        *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={best}"),
    )
    got = [dcmread(path) for path in tmp_path.iterdir()]
    assert len(got) == len(house.archived[0].paths), said
    assert {dataset.StudyInstanceUID for dataset in got} == {best}


def test_no_response_names_the_example_or_who_a_case_is(house: Hospital) -> None:
    """The default policy: a pseudonym."""
    example, prior = dcmread(house.unknown.paths[0]), dcmread(house.archived[0].paths[0])
    for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        wanted = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "SeriesDescription")
        keys = [part for key in (f"QueryRetrieveLevel={level}", *wanted) for part in ("-k", key)]
        said = house.run("findscu", "-P", *keys)
        assert "CASE-" in said
        for dataset in (example, prior):
            for word in (dataset.PatientID, dataset.PatientName, example.StudyInstanceUID):
                assert str(word) not in said


def test_chosen_cases_are_sent_by_http(house: Hospital, *, deidentifies: bool) -> None:
    url, chosen = house.walk.service.url, house.archived[2]
    with httpx.Client(base_url=url, trust_env=False, timeout=HTTP_WAIT_S) as client:
        names = client.get("/api/destinations").json()["destinations"]
        assert names == [house.walk.orthanc.ae_title, "ROOM2", "WORKSTATION"]
        house.forget_received()
        answer = client.post(
            "/api/send", json={"studies": [chosen.study_instance_uid], "destination": "ROOM2"}
        )
        assert answer.status_code == 200, answer.text
        assert (answer.json()["sent"], answer.json()["failed"]) == (len(chosen.paths), 0)
        check_names(house.received().values(), deidentifies=deidentifies)
        assert len(house.received()) == len(chosen.paths)
        for body, status, reason in (
            ({"studies": [chosen.study_instance_uid], "destination": "NOBODY"}, 404, "unknown_destination"),
            ({"studies": ["1.2.3"], "destination": "ROOM2"}, 404, "not_found"),
            ({"studies": [], "destination": "ROOM2"}, 422, "malformed"),
        ):
            refused = client.post("/api/send", json=body)
            assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    log = house.walk.service.log_path.read_text()
    assert f"study_sent caller=direct destination=ROOM2 study={chosen.study_instance_uid}" in log


def test_chosen_cases_are_sent_through_orthanc(house: Hospital) -> None:
    chosen = house.archived[3]
    house.forget_received()
    with house.walk.orthanc.client(HTTP_WAIT_S) as client:
        answer = client.post(
            "/cbir/api/send",
            json={"studies": [chosen.study_instance_uid], "destination": "ROOM2"},
            headers=ASKING,
        )
    assert answer.status_code == 200, answer.text
    assert len(house.received()) == len(chosen.paths)


def test_a_killed_service_still_knows_what_it_answered(house: Hospital) -> None:
    before = house.listed()
    house.walk.service.kill()
    house.walk.service.start()
    assert house.listed() == before
