"""Cases that are collected, flagged by key objects and sent back refine the answer, by dcmtk's clients."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import highdicom as hd
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid
from rich.console import Console

from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.report import reported_cases
from demo.walk import Walk, hospital
from tests.integration.conftest import (
    ANSWER_WAIT_S,
    STORESCU,
    Programs,
    looked_up,
    series_count,
    store,
    wait_until_indexed,
)

pytestmark = pytest.mark.orthanc

BRAIN, SPINE = "brain-mr", "spine-mr"
ARCHIVED = 3
SILENCE_S = 4.0


class Room:
    """A filled hospital, whose workstation asks, collects, flags and reads."""

    def __init__(self, walk: Walk, folder: Path, studies: Sequence[WrittenStudy]) -> None:
        self.walk = walk
        self._folders = (folder / f"{number}" for number in count())
        self.of_family = {name: [s for s in studies if s.family == name] for name in (BRAIN, SPINE)}
        self.family_of = {study.study_instance_uid: study.family for study in studies}

    @property
    def log(self) -> str:
        return self.walk.service.log_path.read_text()

    def answer(self) -> Dataset:
        """The report of the next answer, which comes after its sheet."""
        report = self.walk.workstation.next_report(ANSWER_WAIT_S)
        assert report is not None, self.log[-3000:]
        assert self.walk.workstation.sheet is not None
        assert self.walk.workstation.sheet.StudyInstanceUID == report.StudyInstanceUID
        return report

    def ask(self, study: WrittenStudy) -> Dataset:
        store(study.paths, self.walk.service.dimse_port, "CBIR")
        return self.answer()

    def families(self, report: Dataset) -> list[str]:
        """Of the cases, in rank order."""
        return [self.family_of[case.study_instance_uid] for case in reported_cases(report)]

    def run(self, program: str, *options: str) -> str:
        """What a client of dcmtk says, however it ends."""
        command = [f"/usr/bin/{program}", "-v", "-aet", "WORKSTATION", "-aec", "CBIR", *options]
        done = subprocess.run(
            [*command, "127.0.0.1", str(self.walk.service.dimse_port)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=120,
        )
        return done.stdout + done.stderr

    def listed(self) -> list[str]:
        """The Study Instance UIDs of the last question's cases, in rank order, by findscu."""
        said = self.run("findscu", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID")
        assert "Received Final Find Response (Success)" in said, said
        return re.findall(r"\(0020,000d\) UI \[([\d.]+)", said.split("Find Response: ", 1)[-1])

    def collected(self, study_instance_uid: str) -> list[Dataset]:
        """A case as the workstation gets it, by getscu."""
        folder = next(self._folders)
        folder.mkdir(parents=True)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_instance_uid}")
        said = self.run("getscu", "-S", "-od", str(folder), *keys)
        found: list[Dataset] = [dcmread(path) for path in sorted(folder.iterdir())]
        assert found, said
        return found

    def flag(
        self,
        *,
        more: Sequence[Dataset] = (),
        less: Sequence[Dataset] = (),
        back: Sequence[Dataset] = (),
        calling: str = "WORKSTATION",
    ) -> None:
        """Select an image of each of these cases, and send the key objects in one association."""
        folder = next(self._folders)
        folder.mkdir(parents=True)
        titles = codes.DCM.OfInterest, codes.DCM.RejectedForQualityReasons, codes.DCM.ForTeaching
        for images, title in zip((more, less, back), titles, strict=True):
            for image in images:
                key_object([image], title).save_as(folder / f"{generate_uid()}.dcm", enforce_file_format=True)
        sent = [STORESCU, "-aet", calling, "-aec", "CBIR", "127.0.0.1", str(self.walk.service.dimse_port)]
        subprocess.run([*sent, *map(str, folder.iterdir())], check=True, capture_output=True, timeout=120)

    def silence(self) -> None:
        """Nothing more comes."""
        received = self.walk.workstation.next_received(SILENCE_S)
        assert received is None, received

    def wait_for_log(self, line: str, times: int = 1) -> None:
        deadline = time.monotonic() + ANSWER_WAIT_S
        while len(re.findall(line, self.log)) < times:
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.2)


def key_object(images: list[Dataset], title: Code) -> Dataset:
    """As a toolkit writes it."""
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes("Reader^Test"),
    )
    for image in images:
        image.PatientName = f"{str(image.PatientName).rstrip('^')}^"  # the toolkit warns of a single word
        for keyword in ("AccessionNumber", "StudyID", "StudyTime", "PatientBirthDate", "PatientSex"):
            if keyword not in image:
                setattr(image, keyword, "")
    return hd.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=hd.ko.KeyObjectSelection(title, images, observer_person_context=observer),
        series_instance_uid=generate_uid(),
        series_number=99,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="A workstation",
    )


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    families = tuple(family for family in FAMILIES if family.name in (BRAIN, SPINE))
    return list(write_studies(tmp_path_factory.mktemp("studies"), per_family=ARCHIVED + 1, families=families))


@pytest.fixture(scope="module", params=["never", "always"])
def room(
    request: pytest.FixtureRequest,
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
    studies: Sequence[WrittenStudy],
) -> Iterator[Room]:
    """A hospital that sends cases as they are, and one that de-identifies each of them."""
    folder = tmp_path_factory.mktemp("hospital")
    with hospital(folder, {"CBIR_DEIDENTIFY": request.param}, programs=programs) as walk:
        room = Room(walk, folder / "collected", studies)
        archived = [study for of_family in room.of_family.values() for study in of_family[:ARCHIVED]]
        for study in archived:
            store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
        wait_until_indexed(walk, Console(quiet=True), series=sum(series_count(study) for study in archived))
        yield room


def asked_and_collected(room: Room, example: WrittenStudy) -> Mapping[str, Dataset]:
    """Ask about a brain; an image of the best case of each family, as the workstation collects it."""
    order = room.families(room.ask(example))
    assert order[0] == BRAIN
    assert order.index(SPINE) == order.count(BRAIN), "brains are more like a brain"
    listed = room.listed()
    assert len(listed) == len(order)
    return {family: room.collected(listed[order.index(family)])[0] for family in (BRAIN, SPINE)}


def test_flags_refine_the_answer_round_after_round(room: Room) -> None:
    """Spines become more alike than brains, whichever UIDs the workstation knows the cases by."""
    example = room.of_family[BRAIN][0]
    best = asked_and_collected(room, example)
    own = {study.study_instance_uid for study in room.of_family[BRAIN]}
    assert (best[BRAIN].StudyInstanceUID in own) is (
        room.walk.service.environment["CBIR_DEIDENTIFY"] == "never"
    )

    room.flag(more=[best[SPINE]], less=[best[BRAIN]])
    refined = room.answer()
    asked = dcmread(example.paths[0])
    assert (refined.StudyInstanceUID, refined.PatientID) == (asked.StudyInstanceUID, asked.PatientID)
    order = room.families(refined)
    assert order == [SPINE] * (ARCHIVED - 1) + [BRAIN] * (ARCHIVED - 2), "flagged cases are no matches"
    assert "more=1 less=1" in room.log
    assert len(room.listed()) == len(order)
    room.silence()

    room.walk.service.kill()
    room.walk.service.start()
    room.flag(more=[best[BRAIN]])
    room.families(room.answer())
    assert "more=2 less=0" in room.log, "what was flagged survives, and what is flagged again changes sides"

    room.flag(less=[best[SPINE]])
    order = room.families(room.answer())
    assert order == [BRAIN] * (ARCHIVED - 2) + [SPINE] * (ARCHIVED - 1)
    room.silence()


def test_flags_are_taken_back_by_key_objects_with_another_title(room: Room) -> None:
    """The cases that were flagged by mistake are listed again, where they were."""
    example = room.of_family[BRAIN][1]
    best = asked_and_collected(room, example)
    before = room.listed()
    room.flag(more=[best[SPINE]], less=[best[BRAIN]])
    assert len(room.families(room.answer())) == len(before) - 2
    room.flag(back=[best[BRAIN]])
    assert room.families(room.answer()).count(BRAIN) == ARCHIVED - 1, "all but the example"
    assert "more=1 less=0" in room.log.rsplit("question_refined", 1)[-1]
    refined = room.log.count("question_refined")
    room.flag(back=[best[SPINE]])
    room.answer()
    assert room.listed() == before
    assert room.log.count("question_refined") == refined, "nothing is chosen any more"
    room.silence()


def test_an_invented_image_does_not_open_the_study_whose_uids_it_carries(room: Room) -> None:
    example = room.of_family[SPINE][0]
    image = dcmread(example.paths[0])
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = Path(room.walk.service.folder / "invented.dcm")
    image.save_as(path)
    store([path], room.walk.service.dimse_port, "CBIR")
    order = room.families(room.answer())
    case = room.collected(room.listed()[order.index(BRAIN)])[0]
    before = room.log.count("reason=noted")
    room.flag(more=[case])
    room.wait_for_log("reason=noted", before + 1)
    room.silence()


def test_flags_on_an_example_that_the_archive_does_not_hold_wait_for_it(room: Room) -> None:
    example = room.of_family[BRAIN][ARCHIVED]
    best = asked_and_collected(room, example)
    before = room.log.count("reason=noted")
    room.flag(more=[best[SPINE]], less=[best[BRAIN]])
    room.wait_for_log("reason=noted", before + 2)
    room.silence()
    room.walk.service.stop()
    room.walk.service.start()
    order = room.families(room.ask(example))
    assert order == [SPINE] * (ARCHIVED - 1) + [BRAIN] * (ARCHIVED - 1)


def test_flags_of_another_caller_do_nothing(room: Room) -> None:
    example = room.of_family[BRAIN][2]
    best = asked_and_collected(room, example)
    other = room.walk.orthanc.ae_title
    refined = room.log.count("question_refined")
    room.flag(more=[best[SPINE]], less=[best[BRAIN]], calling=other)
    room.wait_for_log(f"question_answered question=[0-9a-f]+ caller={other}", 2)
    again = room.families(room.ask(example))
    assert again[0] == BRAIN
    assert room.log.count("question_refined") == refined


def test_orthanc_as_the_caller_gets_the_refined_answer_into_its_own_study(room: Room) -> None:
    """A key object that is filed in the archive goes to CBIR by the archive's own sending."""
    if room.walk.service.environment["CBIR_DEIDENTIFY"] == "always":
        pytest.skip("Orthanc knows its cases by their own UIDs.")
    example, case = room.of_family[BRAIN][1], dcmread(room.of_family[SPINE][0].paths[0])
    with room.walk.orthanc.client() as client:
        [orthanc_id] = looked_up(room.walk, example.study_instance_uid)

        def own() -> set[str]:
            series = client.get(f"/studies/{orthanc_id}/series").raise_for_status().json()
            return {one["ID"] for one in series if one["MainDicomTags"].get("Manufacturer") == "pacs-cbir"}

        before = own()

        def answered(times: int) -> None:
            deadline = time.monotonic() + ANSWER_WAIT_S
            while len(own() - before) < 2 * times:
                assert time.monotonic() < deadline, room.log[-3000:]
                time.sleep(0.3)

        client.post("/modalities/CBIR/store", json={"Resources": [orthanc_id]}).raise_for_status()
        answered(1)
        path = Path(room.walk.service.folder / "selection.dcm")
        key_object([case], codes.DCM.OfInterest).save_as(path, enforce_file_format=True)
        kept = client.post("/instances", content=path.read_bytes()).raise_for_status().json()["ID"]
        client.post("/modalities/CBIR/store", json={"Resources": [kept]}).raise_for_status()
        answered(2)
