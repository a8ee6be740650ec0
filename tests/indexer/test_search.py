"""Query by example: which study ranks where, what is shown to whom, what is said when there is nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.domain import (
    EncoderVersion,
    Filters,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    pooled,
)
from indexer.errors import EncoderUnavailable, NotFound, NotIndexed, Rejected, VectorIndexUnavailable
from indexer.ledger import Ledger, Notice, Priority, Skipped
from indexer.line_up import LineUp, LineUps, RoutedEncoder
from indexer.ports import Caller
from indexer.search import ExampleReference, Question, Search
from tests.fakes.archive import FakeArchive
from tests.fakes.vector_index import FakeVectorIndex

ENCODER = EncoderVersion("test", "ab" * 32, 3)
TRUSTED = Caller("test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class OneVectorEncoder:
    """Gives the same embedding for every example; remembers what it was asked."""

    answer: tuple[SeriesEmbedding, ...] = ()
    asked: list[int | None] = field(default_factory=list)

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        assert all(path.is_file() for path in instances)
        self.asked.append(frame_number)
        return self.answer

    def render(self, instance: Path, frame_number: int, longest_side: int) -> bytes:
        raise AssertionError("a search renders nothing")


@dataclass
class World:
    """Everything a search needs, in memory."""

    ledger: Ledger
    archive: FakeArchive = field(default_factory=FakeArchive)
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    encoder: OneVectorEncoder = field(default_factory=OneVectorEncoder)

    def search(self) -> Search:
        return Search(
            line_ups=lambda: LineUps.alone(ENCODER),
            ledger=self.ledger,
            archive=self.archive,
            encoder=self.encoder,
            index=self.index,
            access=self.archive,
        )

    def add(
        self, study: str, *frames: Sequence[float], series: str = "1", **attributes: object
    ) -> SeriesReference:
        stored = embedding(study, *frames, series=series, **attributes)
        self.index.upsert([stored])
        return stored.reference

    def add_shown(self, study: str, frame: Sequence[float], credentials: dict[str, str]) -> None:
        """Archived as well, and shown to the caller with these credentials."""
        archive_id = self.archive.put(study=study, series=f"{study}.1", sop=f"{study}.1.1")
        self.archive.show(archive_id, credentials)
        stored = embedding(study, frame)
        self.index.upsert([replace(stored, reference=replace(stored.reference, archive_id=archive_id))])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        world = World(ledger)
        world.index.prepare(ENCODER)
        yield world


def embedding(
    study: str, *frames: Sequence[float], series: str = "1", **attributes: object
) -> SeriesEmbedding:
    rows = np.asarray(frames, dtype=np.float32)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return SeriesEmbedding(
        reference=SeriesReference(study, f"{study}.{series}", f"id-{study}-{series}"),
        attributes=SeriesAttributes(**attributes),  # type: ignore[arg-type]
        encoder=ENCODER,
        frames=tuple(FrameReference("1.2", f"{study}.{series}.{n}", 1) for n in range(1, len(frames) + 1)),
        vector=pooled(rows),
        frame_vectors=rows,
    )


def studies(world: World, question: Question, caller: Caller = TRUSTED) -> list[str]:
    answer = world.search().similar(question, caller)
    return [match.reference.study_instance_uid for match in answer.matches]


def about(study: str, **options: object) -> Question:
    return Question(ExampleReference(study_instance_uid=study), **options)  # type: ignore[arg-type]


def test_the_nearest_comes_first_and_the_own_study_never(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0))
    world.add("3", (0.9, 0.1, 0))
    assert studies(world, about("1")) == ["3", "2"]


def test_a_match_names_its_rank_its_score_and_the_pair_of_frames_that_look_alike(world: World) -> None:
    world.add("1", (1, 0, 0), (0, 1, 0))
    world.add("2", (0, 0, 1), (0, 1, 0.1))
    match = world.search().similar(about("1"), TRUSTED).matches[0]
    assert match.rank == 1
    assert match.frame.sop_instance_uid == "2.1.2"
    assert match.example_frame is not None
    assert match.example_frame.sop_instance_uid == "1.1.2"
    assert match.answers is not None
    assert match.answers.series_instance_uid == "1.1"
    assert match.score == pytest.approx(0.5 * (0 + 1 / np.sqrt(1.01)), abs=1e-5)


def test_a_study_is_shown_once_and_by_its_best_series(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0), series="1")
    world.add("2", (1, 0.1, 0), series="2")
    answer = world.search().similar(about("1"), TRUSTED)
    assert [m.reference.series_instance_uid for m in answer.matches] == ["2.2"]


def test_the_series_of_one_study_vote_together(world: World) -> None:
    """Study 2 is best for one series only; study 3 is good for both and wins."""
    world.add("1", (1, 0, 0), series="a")
    world.add("1", (0, 1, 0), series="b")
    world.add("2", (1, 0, 0), series="a")
    world.add("3", (0.9, 0.3, 0), series="a")
    world.add("3", (0.3, 0.9, 0), series="b")
    answer = world.search().similar(about("1"), TRUSTED)
    assert [m.reference.study_instance_uid for m in answer.matches] == ["3", "2"]
    assert answer.matches[1].sequences[0].example.series_instance_uid == "1.a"
    assert answer.matches[1].score == pytest.approx(0.5)


def test_a_study_found_for_one_series_only_is_still_judged_by_all(world: World) -> None:
    world.add("1", (1, 0, 0), series="a")
    world.add("1", (0, 1, 0), series="b")
    world.add("near-a", (1, 0.01, 0))
    for number in range(8):
        world.add(f"near-b-{number}", (0.2, 1, 0))
    found = studies(world, about("1", limit=1))
    assert found == ["near-b-0"]


def test_the_same_patient_is_left_out_unless_asked_for_and_an_unknown_patient_is_nobody(world: World) -> None:
    world.add("1", (1, 0, 0), patient="p")
    world.add("2", (1, 0, 0), patient="p")
    world.add("3", (1, 0.1, 0), patient=None)
    assert studies(world, about("1")) == ["3"]
    assert studies(world, about("3")) == ["1", "2"]


def test_filters_narrow_the_matches(world: World) -> None:
    world.add("1", (1, 0, 0), modality="MR")
    world.add("2", (1, 0, 0), modality="CT", study_date=date(2020, 5, 1))
    world.add("3", (1, 0.1, 0), modality="MR", body_part_examined="BRAIN")
    assert studies(world, about("1", filters=Filters(modality=("CT",)))) == ["2"]
    assert studies(world, about("1", filters=Filters(body_part_examined=("BRAIN",)))) == ["3"]
    assert studies(world, about("1", filters=Filters(study_date_from=date(2020, 5, 1)))) == ["2"]


def test_one_frame_of_the_example_asks_with_that_frame_alone(world: World) -> None:
    world.add("1", (1, 0, 0), (0, 1, 0))
    world.add("2", (0, 1, 0))
    world.add("3", (1, 0, 0))
    question = Question(ExampleReference(sop_instance_uid="1.1.2", frame_number=1))
    answer = world.search().similar(question, TRUSTED)
    assert answer.matches[0].reference.study_instance_uid == "2"
    assert answer.matches[0].score == pytest.approx(1.0)


def test_an_instance_that_was_not_sampled_is_embedded_now(world: World) -> None:
    world.add("2", (0, 1, 0))
    world.archive.put(study="1", series="1.1", sop="1.1.99")
    world.encoder.answer = (embedding("1", (0, 1, 0)),)
    found = studies(world, Question(ExampleReference(sop_instance_uid="1.1.99", frame_number=7)))
    assert found == ["2"]
    assert world.encoder.asked == [7]


def test_files_that_are_not_archived_are_embedded_now(world: World, tmp_path: Path) -> None:
    file = tmp_path / "example.dcm"
    file.write_bytes(b"DICM")
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0))
    world.encoder.answer = (embedding("1", (1, 0, 0)),)
    assert studies(world, Question((file,))) == ["2"]


def test_files_of_two_studies_are_refused(world: World, tmp_path: Path) -> None:
    world.encoder.answer = (embedding("1", (1, 0, 0)), embedding("2", (1, 0, 0)))
    with pytest.raises(Rejected, match="one study"):
        studies(world, Question((tmp_path,)[:0]))


def test_vectors_of_another_encoder_are_never_compared(world: World) -> None:
    other = EncoderVersion("other", "cd" * 32, 3)
    stray = embedding("1", (1, 0, 0))
    world.encoder.answer = (
        SeriesEmbedding(
            stray.reference, stray.attributes, other, stray.frames, stray.vector, stray.frame_vectors
        ),
    )
    with pytest.raises(EncoderUnavailable, match="CBIR_ENCODERS_DIR"):
        studies(world, Question(()))


def test_an_unknown_example_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="check the UID"):
        studies(world, about("404"))
    with pytest.raises(NotFound):
        studies(world, Question(ExampleReference(sop_instance_uid="404")))


def test_an_example_that_waits_says_so(world: World) -> None:
    reference = SeriesReference("1", "1.1", "id-1-1")
    world.ledger.notice([Notice("id-1-1", "orthanc", Priority.CHANGED, reference=reference)], NOW)
    with pytest.raises(NotIndexed, match="waiting"):
        studies(world, about("1"))


def test_an_example_that_was_skipped_says_why(world: World) -> None:
    reference = SeriesReference("1", "1.1", "id-1-1")
    world.ledger.notice([Notice("id-1-1", "orthanc", Priority.CHANGED, reference=reference)], NOW)
    (lease,) = world.ledger.lease("me", 1, 60, NOW)
    skipped = Skipped(reference, None, "r", "f", "segmentation", "A segmentation.")
    world.ledger.finish(lease, "me", skipped, NOW)
    with pytest.raises(NotIndexed, match="segmentation"):
        studies(world, about("1"))


def test_a_caller_sees_only_what_the_archive_would_show_her(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    caller = Caller("someone", credentials)
    for study in ("1", "2", "3"):
        world.add_shown(study, (1, 0, 0), credentials)
    world.add("4", (1, 0, 0))
    assert studies(world, about("1"), caller) == ["2", "3"]
    with pytest.raises(NotFound):
        studies(world, about("4"), caller)


def test_what_a_caller_may_not_see_does_not_use_up_her_matches(world: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    world.add_shown("example", (1, 0, 0), credentials)
    for number in range(30):
        world.add(f"hidden-{number}", (1, 0, 0))
    for number in range(3):
        world.add_shown(f"shown-{number}", (0, 1, 0), credentials)
    found = studies(world, about("example", limit=3), Caller("someone", credentials))
    assert found == ["shown-0", "shown-1", "shown-2"]


def test_an_instance_that_the_caller_may_not_see_is_not_found(world: World) -> None:
    world.archive.put(study="1", series="1.1", sop="1.1.99")
    world.encoder.answer = (embedding("1", (0, 1, 0)),)
    question = Question(ExampleReference(sop_instance_uid="1.1.99"))
    caller = Caller("someone", {"Authorization": "Basic eA=="})
    with pytest.raises(NotFound) as hidden:
        studies(world, question, caller)
    assert world.archive.fetched == [], "it is not even fetched for her"
    with pytest.raises(NotFound) as unknown:
        studies(world, Question(ExampleReference(sop_instance_uid="1.1.98")), caller)
    assert str(hidden.value).replace("99", "98") == str(unknown.value)


def test_a_caller_does_not_learn_what_waits_that_she_may_not_see(world: World) -> None:
    reference = SeriesReference("1", "1.1", "id-1-1")
    world.ledger.notice([Notice("id-1-1", "orthanc", Priority.CHANGED, reference=reference)], NOW)
    with pytest.raises(NotFound):
        studies(world, about("1"), Caller("someone", {"Authorization": "Basic eA=="}))


def test_a_vector_index_that_is_down_is_said_to_be(world: World) -> None:
    world.index.unavailable = True
    with pytest.raises(VectorIndexUnavailable):
        studies(world, about("1"))


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"study_instance_uid": "1", "series_instance_uid": "2"},
        {"study_instance_uid": "1", "frame_number": 1},
    ],
)
def test_an_example_is_named_by_exactly_one_uid(named: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        ExampleReference(**named)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(Rejected, match="limit"):
        about("1", limit=limit)


MR_ENCODER = EncoderVersion("for MR", "cd" * 32, 3)
BOTH = LineUps(LineUp((RoutedEncoder(MR_ENCODER, ("MR",)), RoutedEncoder(ENCODER))))


def searching(world: World, line_ups: LineUps) -> Search:
    for version in line_ups.versions:
        world.index.prepare(version)
    return Search(
        line_ups=lambda: line_ups,
        ledger=world.ledger,
        archive=world.archive,
        encoder=world.encoder,
        index=world.index,
        access=world.archive,
    )


def of(encoder: EncoderVersion, made: SeriesEmbedding) -> SeriesEmbedding:
    return replace(made, encoder=encoder)


def test_each_series_of_an_example_is_compared_by_the_encoder_that_made_its_vector(world: World) -> None:
    search = searching(world, BOTH)
    for study, mr, ct in (("1", (1, 0, 0), (1, 0, 0)), ("2", (1, 0.1, 0), (0, 1, 0))):
        world.index.upsert([of(MR_ENCODER, embedding(study, mr, series="1", modality="MR"))])
        world.index.upsert([embedding(study, ct, series="2", modality="CT")])
    world.index.upsert([of(MR_ENCODER, embedding("3", (0, 1, 0), series="1", modality="MR"))])
    world.index.upsert([embedding("4", (1, 0, 0), series="2", modality="CT")])
    answer = search.similar(Question(ExampleReference(study_instance_uid="1")), TRUSTED)
    assert {e.encoder for e in answer.example} == {ENCODER, MR_ENCODER}
    found = {match.reference.study_instance_uid: match for match in answer.matches}
    assert found["4"].encoder == ENCODER
    assert found["2"].encoder == MR_ENCODER
    assert answer.encoder == answer.matches[0].encoder
    assert found["4"].sequences[0].example.series_instance_uid == "1.2"


def test_a_series_that_another_encoder_held_before_stands_in_an_example_once(world: World) -> None:
    search = searching(world, BOTH)
    world.index.upsert([of(MR_ENCODER, embedding("1", (1, 0, 0), modality="MR"))])
    world.index.upsert([embedding("1", (0, 1, 0), modality="MR"), embedding("2", (0, 1, 0), modality="MR")])
    world.index.upsert([of(MR_ENCODER, embedding("3", (1, 0, 0), modality="MR"))])
    answer = search.similar(Question(ExampleReference(study_instance_uid="1")), TRUSTED)
    assert [e.encoder for e in answer.example] == [MR_ENCODER]
    assert [m.reference.study_instance_uid for m in answer.matches] == ["3"]


def test_a_line_up_that_is_only_filled_is_not_searched(world: World) -> None:
    beside = LineUps(LineUps.alone(ENCODER).serving, LineUps.alone(MR_ENCODER).serving)
    search = searching(world, beside)
    world.index.upsert([of(MR_ENCODER, embedding("1", (1, 0, 0)))])
    with pytest.raises(NotFound):
        search.similar(Question(ExampleReference(study_instance_uid="1")), TRUSTED)


def test_a_worker_that_has_not_seen_the_switch_yet_is_answered_by_the_line_up_before(
    world: World, tmp_path: Path
) -> None:
    switched = LineUps(LineUps.alone(MR_ENCODER).serving, LineUps.alone(ENCODER).serving)
    search = searching(world, switched)
    world.index.upsert([embedding("2", (1, 0, 0)), of(MR_ENCODER, embedding("2", (1, 0, 0)))])
    (tmp_path / "example.dcm").touch()
    world.encoder.answer = (embedding("1", (1, 0, 0)),)
    answer = search.similar(Question((tmp_path / "example.dcm",)), TRUSTED)
    assert [m.reference.study_instance_uid for m in answer.matches] == ["2"]
    assert answer.encoder == ENCODER
