"""Asking about a part of a frame: the real engine, a worker over HTTP and an encoder with a feature map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from indexer.adapters.inference_http import InferenceClient
from indexer.adapters.qdrant import QdrantIndex
from indexer.domain import Answer, EncoderVersion, Match, Region
from indexer.errors import NotFound, Rejected
from indexer.ledger import Ledger
from indexer.line_up import LineUps
from indexer.ports import Caller
from indexer.search import ExampleReference, Question, RegionOfInterest, Search
from indexer.search.regions import MOST_LOOKED_AT, breadth
from inference.app import create_app
from inference.decoders import Decoders
from inference.embedders import Inference, LoadedEmbedders
from inference.encoder import OnnxEncoder
from inference.limits import Limits
from tests.engine.process import EngineProcess
from tests.fakes.archive import FakeArchive
from tests.fakes.brightness_encoder import write_brightness_encoder
from tests.fakes.instance_file import instance, write
from tests.fakes.server import serving

TRUSTED = Caller("test")
ANNA = {"authorization": "anna"}
WHITE, PALE, DARK = 255, 182, 36
SIZE = 0.25


@dataclass
class Clinic:
    """An archive with studies of one frame each: a square of some grey on a ground of another."""

    folder: Path
    archive: FakeArchive
    index: QdrantIndex
    encoder: InferenceClient
    version: EncoderVersion
    ledger: Ledger
    places: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, study: str, left: float, top: float, square: int = WHITE, ground: int = DARK) -> None:
        path = self.draw(study, left, top, square, ground)
        archive_id = self.archive.store(path)
        self.archive.show(archive_id, ANNA)
        (embedded,) = self.encoder.embed([path])
        reference = replace(embedded.reference, archive_id=archive_id)
        self.index.upsert([replace(embedded, reference=reference)])

    def draw(self, study: str, left: float, top: float, square: int = WHITE, ground: int = DARK) -> Path:
        rows, columns = 64, 128
        frame = np.full((rows, columns), ground, dtype=np.uint8)
        y, x = round(top * rows), round(left * columns)
        frame[y : y + round(SIZE * rows), x : x + round(SIZE * columns)] = square
        self.places[study] = (left, top)
        dataset = instance(
            frame, StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1",
            PatientID=study, Modality="MR",
        )  # fmt: skip
        return write(dataset, self.folder / f"{study}.dcm")

    def search(self) -> Search:
        return Search(
            line_ups=lambda: LineUps.alone(self.version),
            ledger=self.ledger,
            archive=self.archive,
            encoder=self.encoder,
            index=self.index,
            access=self.archive,
        )

    def ask(
        self, study: str, example: ExampleReference | tuple[Path, ...] | None = None, **options: int
    ) -> Answer:
        left, top = self.places[study]
        question = Question(
            example or ExampleReference(study_instance_uid=study),
            region=RegionOfInterest(f"{study}.1.1", 1, Region(left, top, SIZE, SIZE)),
            **options,  # type: ignore[arg-type]
        )
        return self.search().similar(question, TRUSTED)

    def is_found(self, match: Match) -> bool:
        """Whether the middle of the place lies in the square of the match."""
        assert match.place is not None
        left, top = self.places[match.reference.study_instance_uid]
        x, y = match.place.left + match.place.width / 2, match.place.top + match.place.height / 2
        return left < x < left + SIZE and top < y < top + SIZE


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path_factory.mktemp("engine") / "data") as running:
        yield running


@pytest.fixture
def clinic(tmp_path: Path, engine: EngineProcess) -> Iterator[Clinic]:
    folder = write_brightness_encoder(tmp_path / "models" / "brightness")
    version = OnnxEncoder(folder, threads=1).version
    line_ups = LineUps.alone(version)
    with ExitStack() as stack:
        decoders = stack.enter_context(Decoders(Limits(timeout_s=120), 1))
        embedders = LoadedEmbedders(
            Inference(decoders, lambda _issuer, patient: patient or None, threads=1),
            lambda: line_ups,
            lambda: line_ups,
            lambda _version: folder,
        )
        url = stack.enter_context(serving(create_app(embedders)))
        encoder = stack.enter_context(InferenceClient(url))
        ledger = stack.enter_context(Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
        index = QdrantIndex(engine.url)
        index.drop(version)
        index.prepare(version)
        yield Clinic(tmp_path, FakeArchive(), index, encoder, version, ledger)
        index.close()


@pytest.fixture
def furnished(clinic: Clinic) -> Clinic:
    clinic.add("1.1", 0.1, 0.5)
    clinic.add("1.2", 0.6, 0.2)
    clinic.add("1.3", 0.3, 0.1)
    clinic.add("1.4", 0.5, 0.5, square=PALE)
    clinic.add("1.5", 0.2, 0.3, square=73)
    return clinic


def studies(answer: Answer) -> list[str]:
    return [match.reference.study_instance_uid for match in answer.matches]


def test_what_is_alike_in_the_region_comes_first_and_is_marked_where_it_is(furnished: Clinic) -> None:
    answer = furnished.ask("1.1")
    assert set(studies(answer)[:2]) == {"1.2", "1.3"}
    assert all(furnished.is_found(match) for match in answer.matches[:2])
    assert [match.rank for match in answer.matches] == [1, 2, 3, 4]
    scores = [match.score for match in answer.matches]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > scores[2] + 0.1
    assert all(match.percent is None for match in answer.matches)
    assert all(match.example_frame == answer.example[0].frames[0] for match in answer.matches)


def test_the_example_of_the_answer_is_the_region(furnished: Clinic) -> None:
    (example,) = furnished.ask("1.1", limit=1).example
    assert [(frame.sop_instance_uid, frame.frame_number) for frame in example.frames] == [("1.1.1.1", 1)]
    assert example.vector[-1] > 0.9, "white, and not the dark ground"
    np.testing.assert_allclose(np.linalg.norm(example.vector), 1, atol=1e-6)


def test_who_may_be_the_same_person_is_told_by_whole_frames(clinic: Clinic) -> None:
    """The region of both is the same white square; only one lies on the same ground."""
    clinic.add("1.1", 0.1, 0.5)
    clinic.add("1.2", 0.1, 0.5)
    clinic.add("1.3", 0.1, 0.5, ground=PALE)
    answer = clinic.ask("1.1")
    flagged = {match.reference.study_instance_uid: match.possible_same_person for match in answer.matches}
    assert flagged == {"1.2": True, "1.3": False}


def test_more_candidates_are_looked_at_than_are_shown(furnished: Clinic) -> None:
    furnished.archive.fetched.clear()
    assert len(furnished.ask("1.1", limit=1).matches) == 1
    assert len(furnished.archive.fetched) == 5, "the example and each of the four candidates"


def test_an_upload_is_asked_about_by_a_region_of_one_of_its_files(furnished: Clinic) -> None:
    paths = (furnished.draw("2.2", 0.0, 0.0, square=110), furnished.draw("2.1", 0.4, 0.4))
    with pytest.raises(Rejected, match="several studies"):
        furnished.ask("2.1", paths)
    answer = furnished.ask("2.1", paths[1:])
    assert set(studies(answer)[:3]) == {"1.1", "1.2", "1.3"}
    assert all(furnished.is_found(match) for match in answer.matches[:3])
    with pytest.raises(NotFound, match="not among the files"):
        furnished.ask("2.2", paths[1:])


def test_a_match_whose_frame_is_gone_keeps_its_score_has_no_place_and_comes_last(furnished: Clinic) -> None:
    """Its score is that of whole frames, here higher than that of most windows."""
    furnished.add("1.6", 0.1, 0.1, ground=250)
    furnished.archive.delete_instance("1.6.1.1")
    furnished.archive.show(furnished.archive.put(study="1.6", series="1.6.1", sop="1.6.1.2"), ANNA)
    *placed, last = furnished.ask("1.1").matches
    assert last.reference.study_instance_uid == "1.6"
    assert last.place is None
    assert last.rank == 5
    assert last.score > placed[-1].score
    assert all(match.place is not None for match in placed)


def test_no_match_is_ranked_by_its_windows_that_was_not_looked_at() -> None:
    assert breadth(10) == 40
    assert breadth(100) == MOST_LOOKED_AT
    assert breadth(100, alone=False) == 100


def test_a_region_of_what_the_caller_may_not_see_is_unknown(furnished: Clinic) -> None:
    furnished.archive.store(furnished.draw("1.6", 0.1, 0.1))
    region = RegionOfInterest("1.6.1.1", 1, Region(0.1, 0.1, SIZE, SIZE))
    question = Question(ExampleReference(study_instance_uid="1.1"), region=region)
    with pytest.raises(NotFound, match=r"no instance 1\.6"):
        furnished.search().similar(question, Caller("anna", ANNA))
    with pytest.raises(NotFound, match="no part of the example"):
        furnished.search().similar(question, TRUSTED)


def test_a_frame_that_is_not_there_is_not_found(furnished: Clinic) -> None:
    region = RegionOfInterest("1.1.1.1", 7, Region(0, 0, 1, 1))
    with pytest.raises(NotFound, match="frame 7"):
        furnished.search().similar(
            Question(ExampleReference(study_instance_uid="1.1"), region=region), TRUSTED
        )


def test_a_region_that_is_the_whole_frame_asks_as_the_frame_does(furnished: Clinic) -> None:
    whole = RegionOfInterest("1.1.1.1", 1, Region(0, 0, 1, 1))
    by_region = furnished.search().similar(
        Question(ExampleReference(study_instance_uid="1.1"), region=whole), TRUSTED
    )
    by_frame = furnished.search().similar(Question(ExampleReference(study_instance_uid="1.1")), TRUSTED)
    assert set(studies(by_region)[:2]) == set(studies(by_frame)[:2]) == {"1.2", "1.3"}
