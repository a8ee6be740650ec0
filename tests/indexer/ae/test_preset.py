"""Further AE titles of ours: who sends chooses how to ask by choosing where to send."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from indexer.ae.answering import Answering
from indexer.ae.delivery import deliver
from indexer.ae.entity import ApplicationEntity
from indexer.ae.patience import Patience
from indexer.ae.preset import Chosen, Preset
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.answers.example import read_instance
from indexer.destinations import Destination
from indexer.domain import Answer, Filters
from indexer.errors import EncoderUnavailable, Rejected
from indexer.ports import Caller
from indexer.search import Question
from tests.fakes.answers import answer_about, instance, uid, write
from tests.fakes.workstation import STORESCU, Workstation, echo, wait_until

PATIENCE = Patience(quiet_s=0.2, held_s=600.0, retry_first_s=0.1, retry_longest_s=0.2)
CT = Preset("CBIR_CT", limit=3, filters=Filters(modality=("CT",), study_date_from=date(2020, 1, 1)))
VARIED = Preset("CBIR_VARIED", diversity=0.5, text="pleural effusion", text_weight=0.2)


class Remembering:
    """A search that remembers its questions; `fails` may raise."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.fails: Callable[[], object] = lambda: None

    def similar(self, question: Question, caller: Caller) -> Answer:
        assert isinstance(question.example, tuple)
        self.fails()
        self.questions.append(question)
        return answer_about(question.example)


class Service:
    """The application entity with two presets, and a workstation that is answered."""

    def __init__(self, folder: Path, workstation: Workstation) -> None:
        self.folder = folder
        self.caller = Destination.parse(f"WS1=localhost:{workstation.port}")
        self.searcher = Remembering()
        self.presets: tuple[Preset, ...] = (CT, VARIED)
        self._make()

    def _make(self) -> None:
        self.questions = Questions(
            spool=Spool(self.folder),
            answering=Answering(self.searcher, limit=7),
            deliver=lambda destination, paths: deliver(destination, paths, ae_title="CBIR"),
            callers=(self.caller,),
            presets=self.presets,
            patience=PATIENCE,
        )
        self.entity = ApplicationEntity(
            ae_title="CBIR",
            host="127.0.0.1",
            port=0,
            callers=(self.caller,),
            questions=self.questions,
            presets=tuple(preset.ae_title for preset in self.presets),
        )

    def __enter__(self) -> Service:
        self.questions.start()
        self.entity.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.entity.stop()
        self.questions.stop()

    def start_again(self, presets: Sequence[Preset]) -> None:
        """Stop, and start with other presets over the same spool."""
        self.__exit__()
        self.presets = tuple(presets)
        self._make()
        self.__enter__()

    def send(self, paths: Sequence[Path], called: str) -> None:
        """By dcmtk's storescu."""
        command = [STORESCU, "-aet", "WS1", "-aec", called, "127.0.0.1", str(self.entity.port)]
        subprocess.run([*command, *map(str, paths)], check=True, capture_output=True)

    def is_empty(self) -> bool:
        return len(self.questions) == 0 and not list(self.folder.iterdir())


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    with Workstation(tmp_path / "workstation") as started:
        yield started


@pytest.fixture
def service(tmp_path: Path, workstation: Workstation) -> Iterator[Service]:
    with Service(tmp_path / "questions", workstation) as started:
        yield started


def test_a_preset_without_a_limit_has_that_of_the_others() -> None:
    def limit_of(preset: Preset) -> int:
        images = (Path("1.dcm"),)
        return preset.question(
            images=images, reports=(), typed="", limit=7, region=None, chosen=Chosen()
        ).limit

    assert (limit_of(CT), limit_of(VARIED)) == (3, 7)


def test_only_a_preset_that_reads_reports_asks_with_them() -> None:
    for reads in (True, False):
        asked = Preset("CBIR_WORDS", reads_reports=reads).question(
            images=(Path("1.dcm"),),
            reports=(Path("2.dcm"),),
            typed="",
            limit=7,
            region=None,
            chosen=Chosen(),
        )
        assert asked.reports == ((Path("2.dcm"),) if reads else ())


def test_every_title_answers_c_echo_and_no_other_one_does(service: Service) -> None:
    for called in ("CBIR", "CBIR_CT", "CBIR_VARIED"):
        assert echo(service.entity.port, called=called).returncode == 0
    assert echo(service.entity.port, called="CBIR_MR").returncode != 0
    assert echo(service.entity.port, called="CBIR_CT", calling="STRANGER").returncode != 0


def test_a_study_is_asked_about_as_the_title_that_it_is_sent_to_asks(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for called in ("CBIR_CT", "CBIR_VARIED", "CBIR"):
        service.send(write(tmp_path / called, instance(called)), called)
        wait_until(service.is_empty)
    ct, varied, plain = service.searcher.questions
    assert (ct.limit, ct.filters, ct.diversity, ct.text) == (3, CT.filters, 0.0, "")
    assert (varied.limit, varied.filters, varied.diversity) == (7, Filters(), 0.5)
    assert (varied.text, varied.text_weight) == ("pleural effusion", 0.2)
    assert (plain.limit, plain.filters, plain.diversity, plain.text) == (7, Filters(), 0.0, "")
    assert all(question.same_patient for question in (ct, varied, plain))
    received = [r.getMessage() for r in caplog.records if r.getMessage().startswith("question_received")]
    assert [line.split("called=")[1].split()[0] for line in received] == ["CBIR_CT", "CBIR_VARIED", "first"]


def test_a_study_that_is_sent_to_two_titles_is_two_questions_with_an_answer_each(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    paths = write(tmp_path / "q", instance("asked"))
    for called in ("CBIR_CT", "CBIR_VARIED", "CBIR"):
        service.send(paths, called)
    answers = workstation.waits_for(3)
    assert len({answer.SOPInstanceUID for answer in answers}) == 3
    assert sorted(answer.get("StationName", "") for answer in answers) == ["", "CBIR_CT", "CBIR_VARIED"]
    assert {answer.StudyInstanceUID for answer in answers} == {uid("asked")}
    assert sorted(question.diversity for question in service.searcher.questions) == [0.0, 0.0, 0.5]
    wait_until(service.is_empty)


def test_one_association_holds_open_only_the_question_to_its_own_title(
    service: Service, workstation: Workstation
) -> None:
    """The same study, slowly to one title and at once to another: the second does not wait for the first."""
    content = BytesIO()
    instance("asked").save_as(content, enforce_file_format=True)
    example = read_instance(BytesIO(content.getvalue()))
    service.questions.receive("slow", service.caller, example, content.getvalue(), "CBIR_CT")
    service.questions.receive("quick", service.caller, example, content.getvalue(), "CBIR_VARIED")
    service.questions.let_go("quick")
    [answer] = workstation.waits_for(1)
    assert answer.StationName == "CBIR_VARIED"
    service.questions.let_go("slow")
    workstation.waits_for(2)


def test_a_study_that_is_forwarded_with_its_answer_is_an_echo_to_the_same_title_only(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    paths = write(tmp_path / "q", instance("asked"))
    service.send(paths, "CBIR_CT")
    workstation.waits_for(1)
    wait_until(service.is_empty)
    forwarded = [*paths, *sorted(workstation.folder.iterdir())]
    service.send(forwarded, "CBIR_CT")
    wait_until(service.is_empty)
    assert len(service.searcher.questions) == 1
    service.send(forwarded, "CBIR_VARIED")
    wait_until(lambda: len(service.searcher.questions) == 2)
    wait_until(service.is_empty)


def test_a_question_is_asked_as_its_title_asks_after_a_restart_too(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    _asked_while_nobody_answers(service, tmp_path)
    service.start_again([CT, VARIED])
    workstation.waits_for(1)
    assert [question.filters for question in service.searcher.questions] == [CT.filters]


def test_a_question_to_a_preset_that_is_gone_is_asked_as_the_first_title_asks(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    _asked_while_nobody_answers(service, tmp_path)
    service.start_again([VARIED])
    workstation.waits_for(1)
    [question] = service.searcher.questions
    assert (question.limit, question.filters) == (7, Filters())


def test_a_record_of_an_older_version_names_no_title_and_is_taken_up(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    _asked_while_nobody_answers(service, tmp_path)
    service.__exit__()
    [path] = service.folder.glob("*/question.json")
    record = json.loads(path.read_text())
    assert record.pop("called") == "CBIR_CT"
    path.write_text(json.dumps(record))
    service.start_again([CT, VARIED])
    [answer] = workstation.waits_for(1)
    assert "StationName" not in answer
    assert [question.filters for question in service.searcher.questions] == [Filters()]


def _asked_while_nobody_answers(service: Service, folder: Path) -> None:
    """Leave a question to CBIR_CT in the spool; from now on it would be answered."""
    tries: list[int] = []

    def fails() -> None:
        tries.append(1)
        raise EncoderUnavailable("The worker does not answer.")

    service.searcher.fails = fails
    service.send(write(folder / "q", instance("asked")), "CBIR_CT")
    wait_until(lambda: bool(tries))
    service.questions.stop()
    service.searcher.fails = lambda: None


def test_giving_up_is_told_with_the_title_that_was_called(service: Service, tmp_path: Path) -> None:
    """A question that ended the process three times is refused; its answer says which title it is from."""
    reply = Answering(service.searcher).refuse(
        write(tmp_path / "q", instance("asked")), Rejected("It failed.", reason="gave_up"), "q1", CT
    )
    assert [document.StationName for document in reply.documents] == ["CBIR_CT", "CBIR_CT"]
    assert asked_in(reply.documents[1]) == ["CT only", "since 2020-01-01"]


def asked_in(report: Dataset) -> list[str]:
    """How it was asked, as a report says it."""
    evaluations = report.ContentSequence[-1].ContentSequence
    return [item.TextValue for item in evaluations if item.ConceptNameCodeSequence[0].CodeValue == "asked"]


def test_the_answer_says_how_its_title_asks_and_that_of_the_first_nothing(
    service: Service, workstation: Workstation, tmp_path: Path
) -> None:
    paths = write(tmp_path / "q", instance("asked"))
    for called in ("CBIR", "CBIR_CT", "CBIR_VARIED"):
        service.send(paths, called)
    wait_until(lambda: len(workstation.sheets()) == len(workstation.answers()) == 3)
    said = {report.get("StationName", "CBIR"): asked_in(report) for report in workstation.answers()}
    sheets = {sheet.get("StationName", "CBIR"): sheet for sheet in workstation.sheets()}
    assert said == {
        "CBIR": [],
        "CBIR_CT": ["CT only", "since 2020-01-01"],
        "CBIR_VARIED": ['with the words "pleural effusion"', "varied"],
    }
    assert sheets["CBIR"].Rows < sheets["CBIR_CT"].Rows == sheets["CBIR_VARIED"].Rows, "a line more"
    alone = {called: "by visual likeness alone" in sheet.ImageComments for called, sheet in sheets.items()}
    assert alone == {"CBIR": True, "CBIR_CT": True, "CBIR_VARIED": False}
