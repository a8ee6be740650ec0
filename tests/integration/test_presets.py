"""A workstation chooses how to ask by choosing where to send, by dcmtk's clients and by an Orthanc."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from rich.console import Console

from cbir.ports import free_port
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.report import reported_cases
from demo.walk import Walk, hospital
from indexer.answers.refusals import IN_ENGLISH
from indexer.answers.sheet_header import ASKED_SIZE
from tests.fakes.drawn import is_drawn, says_why
from tests.fakes.key_objects import key_object
from tests.fakes.workstation import Workstation
from tests.integration.conftest import ANSWER_WAIT_S, looked_up, store, wait_until_indexed

pytestmark = pytest.mark.orthanc

ARCHIVED = 4
ASKED = tuple(family for family in FAMILIES if family.name in ("brain-mr", "abdomen-ct"))
PRESETS = {
    "CBIR_CT": "modality=CT",
    "CBIR_THEN": "study_date_from=2017-01-01&study_date_to=20181231",
    "CBIR_TWO": "limit=2",
    "CBIR_VARIED": "diversity=0.9",
    "CBIR_WORDS": "text=pleural+effusion",
}
FIRST = "CBIR"


class Ward:
    """A hospital of brains and abdomens, and a brain that it does not hold."""

    def __init__(self, walk: Walk, folder: Path, port: int, studies: Sequence[WrittenStudy]) -> None:
        self.walk = walk
        self.receiver = Workstation(folder, ae_title="ROOM2", port=port)
        self.unknown = next(study for study in studies if study.family == "brain-mr")
        first = {study.family: study.study_instance_uid for study in reversed(studies)}
        self.archived = [study for study in studies if study.study_instance_uid not in first.values()]
        self.headers = {
            study.study_instance_uid: dcmread(study.paths[0], stop_before_pixels=True)
            for study in self.archived
        }

    def asked(self, paths: Sequence[Path], titles: Sequence[str]) -> Mapping[str, tuple[Dataset, Dataset]]:
        """The same study sent to each title, and each title's sheet and report."""
        for title in titles:
            store(paths, self.walk.service.dimse_port, title)
        found: dict[str, list[Dataset]] = {title: [] for title in titles}
        deadline = time.monotonic() + ANSWER_WAIT_S
        while any(len(documents) < 2 for documents in found.values()) and time.monotonic() < deadline:
            received = self.walk.workstation.next_received(1)
            if received is not None:
                found[received.get("StationName", FIRST)].append(received)
        assert all(len(documents) == 2 for documents in found.values()), self.log()
        return {title: (sheet, report) for title, (sheet, report) in found.items()}

    def log(self) -> str:
        return self.walk.service.log_path.read_text()

    def run(self, program: str, *options: str, called: str) -> str:
        """What a client of dcmtk says, on both streams."""
        command = [f"/usr/bin/{program}", "-v", "-aet", "WORKSTATION", "-aec", called, *options]
        done = subprocess.run(
            [*command, "127.0.0.1", str(self.walk.service.dimse_port)],
            capture_output=True, text=True, errors="replace", check=False, timeout=120,
        )  # fmt: skip
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def ward(orthanc_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    assert orthanc_binary
    folder, port = tmp_path_factory.mktemp("hospital"), free_port()
    studies = list(write_studies(folder / "studies", per_family=ARCHIVED + 1, families=ASKED))
    environment = {
        "CBIR_AE_PRESETS": " ".join(f"{title}?{query}" for title, query in PRESETS.items()),
        "CBIR_DESTINATIONS": f"ROOM2=127.0.0.1:{port}",
        "CBIR_IDENTITIES": "none",
        "CBIR_ENCODER": "grey32",
    }
    with hospital(folder, environment) as walk:
        ward = Ward(walk, folder / "room2", port, studies)
        for study in ward.archived:
            store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
        wait_until_indexed(walk, Console(quiet=True), series=ARCHIVED * 3)
        with ward.receiver:
            yield ward


@pytest.fixture(scope="module")
def answers(ward: Ward) -> Mapping[str, tuple[Dataset, Dataset]]:
    """One study, sent by storescu to all the titles, one right after the other."""
    return ward.asked(ward.unknown.paths, [FIRST, *PRESETS])


def cases(answers: Mapping[str, tuple[Dataset, Dataset]], title: str) -> list[str]:
    """The Study Instance UIDs that a title answered with, in rank order."""
    return [case.study_instance_uid for case in reported_cases(answers[title][1])]


def test_the_first_title_asks_for_anything(
    ward: Ward, answers: Mapping[str, tuple[Dataset, Dataset]]
) -> None:
    found = cases(answers, FIRST)
    assert set(found) == set(ward.headers)
    assert {ward.headers[uid].Modality for uid in found} == {"MR", "CT"}


def test_a_title_for_ct_finds_ct_alone(ward: Ward, answers: Mapping[str, tuple[Dataset, Dataset]]) -> None:
    found = cases(answers, "CBIR_CT")
    assert len(found) == ARCHIVED
    assert {ward.headers[uid].Modality for uid in found} == {"CT"}


def test_a_title_for_some_years_finds_those_alone(
    ward: Ward, answers: Mapping[str, tuple[Dataset, Dataset]]
) -> None:
    found = cases(answers, "CBIR_THEN")
    assert {ward.headers[uid].StudyDate[:4] for uid in found} == {"2017", "2018"}
    assert len(found) == 2 * len(ASKED)


def test_a_title_for_few_cases_finds_the_best_ones(answers: Mapping[str, tuple[Dataset, Dataset]]) -> None:
    assert cases(answers, "CBIR_TWO") == cases(answers, FIRST)[:2]


def test_a_title_for_varied_cases_ranks_them_otherwise(
    ward: Ward, answers: Mapping[str, tuple[Dataset, Dataset]]
) -> None:
    """The best case stays the first; another family comes earlier than by likeness alone."""
    plain, varied = cases(answers, FIRST), cases(answers, "CBIR_VARIED")
    assert sorted(plain) == sorted(varied)
    assert plain[0] == varied[0]
    first_ct = [[ward.headers[uid].Modality for uid in found].index("CT") for found in (plain, varied)]
    assert first_ct[1] < first_ct[0]


def test_words_that_no_encoder_reads_are_refused_with_what_to_do(
    answers: Mapping[str, tuple[Dataset, Dataset]],
) -> None:
    sheet, report = answers["CBIR_WORDS"]
    assert cases(answers, "CBIR_WORDS") == []
    said = [str(item.get("TextValue", "")) for item in items(report)]
    assert any("not_configured" in text and IN_ENGLISH["not_configured"] in text for text in said)
    assert says_why(sheet.pixel_array, IN_ENGLISH["not_configured"])


def test_sheet_and_report_say_how_their_title_asks(
    answers: Mapping[str, tuple[Dataset, Dataset]], tmp_path: Path
) -> None:
    """The refused question as well; a date that somebody configured is told as that date."""
    asked = {title: asked_in(report) for title, (_, report) in answers.items()}
    [then] = asked.pop("CBIR_THEN")
    assert then == "from 2017-01-01 to 2018-12-31"
    assert asked == {
        FIRST: [],
        "CBIR_CT": ["CT only"],
        "CBIR_TWO": [],
        "CBIR_VARIED": ["varied"],
        "CBIR_WORDS": ['with the words "pleural effusion"'],
    }
    for title, line in (
        ("CBIR_CT", "CT only"),
        ("CBIR_THEN", then),
        ("CBIR_WORDS", "with the words “pleural effusion”"),
    ):
        assert is_drawn(answers[title][0].pixel_array[:200], line, ASKED_SIZE), title
    path = tmp_path / "report.dcm"
    answers["CBIR_WORDS"][1].save_as(path, enforce_file_format=True)
    dumped = subprocess.run(
        ["/usr/bin/dsrdump", "+Pl", str(path)], capture_output=True, text=True, check=True
    )
    assert 'TEXT:(,,"How it was asked")="with the words "pleural effusion""' in dumped.stdout


def asked_in(report: Dataset) -> list[str]:
    """How it was asked, as a report says it."""
    said = (item for item in items(report) if item.ConceptNameCodeSequence[0].CodeValue == "asked")
    return [str(item.TextValue) for item in said]


def items(container: Dataset) -> list[Dataset]:
    found: list[Dataset] = []
    for item in container.get("ContentSequence", []):
        found += [item, *items(item)]
    return found


def test_every_answer_is_a_series_of_its_own_in_the_study_that_was_asked_about(
    ward: Ward, answers: Mapping[str, tuple[Dataset, Dataset]]
) -> None:
    documents = [document for pair in answers.values() for document in pair]
    assert {document.StudyInstanceUID for document in documents} == {ward.unknown.study_instance_uid}
    assert len({document.SeriesInstanceUID for document in documents}) == len(documents)
    asked_of = re.findall(r"question_received .* called=(\S+)", ward.log())
    assert asked_of[: 1 + len(PRESETS)] == ["first", *PRESETS]


def test_the_cases_are_listed_and_collected_under_the_title_that_was_asked(
    ward: Ward, tmp_path: Path
) -> None:
    """findscu, movescu and getscu call the preset, and know no other title."""
    [(_, report)] = ward.asked(ward.unknown.paths, ["CBIR_CT"]).values()
    expected = [case.study_instance_uid for case in reported_cases(report)]
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k")
    said = ward.run("findscu", "-S", *keys, "StudyInstanceUID", "-k", "RetrieveAETitle", called="CBIR_CT")
    responses = said.split("Find Response: ")[1:]
    assert [uid for text in responses for uid in re.findall(r"\(0020,000d\) UI \[([\d.]+)", text)] == expected
    assert said.count("AE [CBIR_CT") == len(expected)
    said = ward.run(
        "movescu", "-S", "-aem", "ROOM2", *keys, f"StudyInstanceUID={expected[0]}", called="CBIR_CT"
    )
    assert "Received Final Move Response (Success)" in said, said
    assert {dcmread(path).StudyInstanceUID for path in ward.receiver.folder.iterdir()} == {expected[0]}
    ward.run("getscu", "-S", "-od", str(tmp_path), *keys, f"StudyInstanceUID={expected[1]}", called="CBIR_CT")
    assert {dcmread(path).StudyInstanceUID for path in tmp_path.iterdir()} == {expected[1]}


def test_without_keys_each_title_lists_its_own_last_question_whatever_came_after_it(
    ward: Ward, tmp_path: Path
) -> None:
    """After it come a question to another title that is refused, and a key object that asks nothing."""
    [(_, report)] = ward.asked(ward.unknown.paths, ["CBIR_CT"]).values()
    expected = [case.study_instance_uid for case in reported_cases(report)]
    ward.asked(ward.unknown.paths, ["CBIR_WORDS"])
    selected = tmp_path / "selected.dcm"
    key_object([dcmread(ward.unknown.paths[0])], "113002").save_as(selected, enforce_file_format=True)
    [(_, stray)] = ward.asked([selected], ["CBIR_CT"]).values()
    assert reported_cases(stray) == []
    keys = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID")
    said = ward.run("findscu", *keys, called="CBIR_CT")
    assert re.findall(r"\(0020,000d\) UI \[([\d.]+)", said.split("Find Response: 1 ")[-1]) == expected
    for called in ("CBIR_WORDS", FIRST):
        assert "(Failed: UnableToProcess)" in ward.run("findscu", *keys, called=called), called


def test_a_title_that_is_none_of_ours_is_turned_away(ward: Ward) -> None:
    assert "Called AE Title Not Recognized" in ward.run("echoscu", called="CBIR_MR")
    assert "Called AE Title Not Recognized" not in ward.run("echoscu", called="CBIR_TWO")


def test_orthanc_asks_each_title_though_the_answers_of_others_lie_in_the_study(ward: Ward) -> None:
    """Each is a modality of Orthanc; what comes back is filed in the study, and sent along next."""
    study = next(study for study in ward.archived if study.family == "brain-mr")
    [orthanc_id] = looked_up(ward.walk, study.study_instance_uid)
    titles = ["CBIR_CT", "CBIR_TWO"]
    with ward.walk.orthanc.client() as client:
        for number, title in enumerate(titles, start=1):
            place = {"AET": title, "Host": "127.0.0.1", "Port": ward.walk.service.dimse_port}
            client.put(f"/modalities/{title}", json=place).raise_for_status()
            client.post(f"/modalities/{title}/store", json={"Resources": [orthanc_id]}).raise_for_status()
            assert sorted(_stations(ward, orthanc_id, wanted=2 * number)) == sorted(2 * titles[:number])


def _stations(ward: Ward, orthanc_id: str, *, wanted: int) -> list[str]:
    """The Station Names of our answers in a study of Orthanc, when there are as many as wanted."""
    deadline, found = time.monotonic() + ANSWER_WAIT_S, list[str]()
    with ward.walk.orthanc.client() as client:
        while len(found) < wanted and time.monotonic() < deadline:
            time.sleep(0.3)
            series = client.get(f"/studies/{orthanc_id}/series").json()
            tags = [one["MainDicomTags"] for one in series]
            found = [one.get("StationName", "") for one in tags if one.get("Manufacturer") == "pacs-cbir"]
    assert len(found) == wanted, ward.log()[-3000:]
    return found
