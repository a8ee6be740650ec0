"""Where an example comes from, and what is said when it cannot be asked with."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.domain import EncoderVersion, SeriesEmbedding, SeriesReference
from indexer.errors import EncoderUnavailable, NotFound, NotIndexed, Rejected
from indexer.ledger import Notice, Priority, Skipped
from indexer.ports import Caller
from indexer.search import ExampleReference, Question
from tests.indexer.search.world import NOW, TRUSTED, World, about, embedding, studies


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


def test_a_report_of_the_example_is_not_asked_with(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("1", (0, 1, 0), series="2", kind="report")
    world.add("2", (1, 0, 0))
    answer = world.search().similar(about("1"), TRUSTED)
    assert [one.reference.series_instance_uid for one in answer.example] == ["1.1"]
    assert answer.matches[0].score == pytest.approx(1.0)


@pytest.mark.parametrize(
    "named", [{"study_instance_uid": "1"}, {"series_instance_uid": "1.1"}, {"sop_instance_uid": "1.1.1"}]
)
def test_a_report_alone_is_no_example(world: World, named: dict[str, str]) -> None:
    world.add("1", (1, 0, 0), kind="report")
    with pytest.raises(Rejected, match="report") as refused:
        world.search().similar(Question(ExampleReference(**named)), TRUSTED)  # type: ignore[arg-type]
    assert refused.value.reason == "report"


def test_a_report_that_the_caller_may_not_see_is_unknown(world: World) -> None:
    world.add_shown("1", (1, 0, 0), {"user": "somebody"}, kind="report")
    with pytest.raises(NotFound):
        world.search().similar(about("1"), Caller("another", {"user": "another"}))
