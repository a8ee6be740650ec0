"""More like this, less like this: round after round, without an example too, and on real images."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from indexer.domain import EncoderVersion, FrameReference, SeriesAttributes, SeriesEmbedding, SeriesReference
from indexer.errors import Rejected
from indexer.ledger import Notice, Priority
from indexer.line_up import LineUps
from indexer.ports import Caller
from indexer.search import ExampleReference, Question
from indexer.search.judging import Judge
from indexer.search.knowing import Known
from inference.encoder import OnnxEncoder
from inference.preprocess import preprocess
from tests.indexer.search.world import NOW, TRUSTED, OneVectorEncoder, World, about, chosen, studies


class RefusingEncoder(OneVectorEncoder):
    """Sees nothing in any example."""

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        raise Rejected("It shows nothing.", reason="blank_frame")


def test_what_was_chosen_is_no_longer_among_the_matches(world: World) -> None:
    for study in ("1", "2", "3", "4"):
        world.add(study, (1, 0.01 * int(study), 0))
    assert studies(world, about("1", more=chosen("2"), less=chosen("4"))) == ["3"]


def test_a_chosen_series_takes_its_study_out(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (1, 0.1, 0), series="a")
    world.add("2", (1, 0.2, 0), series="b")
    world.add("3", (0, 1, 0))
    more = (ExampleReference(series_instance_uid="2.a"),)
    assert studies(world, about("1", more=more)) == ["3"]


def test_more_draws_near_and_less_pushes_away(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("left", (1, 1, 0))
    world.add("right", (1, 0, 1))
    world.add("left too", (1, 0.9, 0))
    world.add("right too", (1, 0, 0.8))
    assert studies(world, about("1"))[0] == "right too"
    assert studies(world, about("1", more=chosen("left")))[0] == "left too"
    assert studies(world, about("1", less=chosen("right")))[0] == "left too"


def test_a_less_like_case_that_is_unlike_anyway_changes_nothing(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("2", (1, 0.2, 0))
    world.add("opposite", (-1, 0, 0))
    plain = world.search().similar(about("1"), TRUSTED).matches[0]
    refined = world.search().similar(about("1", less=chosen("opposite")), TRUSTED).matches[0]
    assert refined.score == pytest.approx(plain.score)


def test_round_after_round_the_choice_grows_and_the_answer_names_it(world: World) -> None:
    for number in range(12):
        world.add(f"{number:02}", (1, 0.05 * number, 0.05 * (number % 3)))
    seen: list[str] = []
    for _ in range(3):
        answer = world.search().similar(about("00", limit=2, more=chosen(*seen)), TRUSTED)
        found = [match.reference.study_instance_uid for match in answer.matches]
        assert not set(found) & {*seen, "00"}
        assert [reference.study_instance_uid for reference in answer.more] == seen
        seen += found
    assert len(seen) == 6


def test_without_an_example_the_chosen_cases_are_asked_with(world: World) -> None:
    world.add("1", (1, 0, 0), patient="key:a")
    world.add("2", (0, 1, 0), patient="key:b")
    world.add("3", (1, 0.1, 0), patient="key:c")
    world.add("4", (1, 0, 0.1), patient="key:a")
    question = Question(None, more=chosen("1"))
    answer = world.search().similar(question, TRUSTED)
    assert [match.reference.study_instance_uid for match in answer.matches] == ["3", "2"]
    assert answer.example == ()
    assert answer.matches[0].answers is None
    assert answer.matches[0].sequences == ()


def test_the_patients_of_chosen_cases_stay_in_where_there_is_an_example(world: World) -> None:
    world.add("1", (1, 0, 0), patient="key:a")
    world.add("2", (1, 0.1, 0), patient="key:b")
    world.add("3", (1, 0.2, 0), patient="key:b")
    assert studies(world, about("1", more=chosen("2"))) == ["3"]


def test_chosen_cases_are_matched_like_with_like(world: World) -> None:
    t1 = {"modality": "MR", "sequence": "T1"}
    t2 = {"modality": "MR", "sequence": "T2"}
    world.add("1", (1, 0, 0), **t1)
    world.add("2", (1, 1, 0), **t1)
    world.add("3", (1, 0.9, 0), series="t1", **t1)
    world.add("3", (-1, 0, 0), series="t2", **t2)
    world.add("4", (1, 0.9, 0), series="t2", **t2)
    assert studies(world, about("1", more=chosen("2"))) == ["3", "4"]


@pytest.mark.parametrize("why", ["unknown", "not indexed", "a report", "hidden"])
@pytest.mark.parametrize("side", ["more", "less"])
def test_a_chosen_case_that_cannot_be_compared_is_left_out_where_the_question_says_so(
    world: World, caplog: pytest.LogCaptureFixture, why: str, side: str
) -> None:
    """Otherwise the question is refused, as by a case that somebody chose just now."""
    credentials = {"Authorization": "Basic eA=="}
    caller = Caller("someone", credentials)
    for study, frame in (("1", (1, 0, 0)), ("2", (1, 0.1, 0)), ("3", (1, 0.2, 0)), ("4", (1, 0.3, 0))):
        world.add_shown(study, frame, credentials)
    if why == "not indexed":
        archived = world.archive.put(study="absent", series="absent.1", sop="absent.1.1")
        reference = SeriesReference("absent", "absent.1", archived)
        world.ledger.notice([Notice(archived, "test", Priority.CHANGED, reference=reference)], NOW)
        world.archive.show(archived, credentials)
    if why == "a report":
        world.add_shown("absent", (1, 0, 0), credentials, modality="SR", kind="report")
    if why == "hidden":
        world.add("absent", (1, 0, 0))
    absent, held = ExampleReference(series_instance_uid="absent.1"), chosen("2")
    question = about("1", **{side: (absent, *held)})
    with pytest.raises(Rejected):
        world.search().similar(question, caller)
    expected = world.search().similar(about("1", **{side: held}), caller)
    with caplog.at_level(logging.INFO):
        found = world.search().similar(replace(question, leaves_out_absent=True), caller)
    assert found.matches == expected.matches != ()
    assert (found.more, found.less) == (expected.more, expected.less)
    assert "chosen_cases_left_out cases=1" in caplog.text
    assert "absent" not in caplog.text


def test_where_every_chosen_case_is_left_out_it_is_as_if_none_was_chosen(
    world: World, tmp_path: Path
) -> None:
    """An example that is unlike everything is judged, and words that tell nothing refuse the question."""
    world.judge = Judge(known=lambda _: Known(np.asarray([[0, 0, 1]], np.float32), least=0.9, close=0.99))
    world.add("1", (1, 0, 0))
    world.add("2", (0, 1, 0))
    for more in (chosen("2"), chosen("absent")):
        answer = world.search().similar(about("1", more=more, leaves_out_absent=True), TRUSTED)
        assert (answer.refused is None) == (more == chosen("2"))
    silent = tmp_path / "own of hers"
    silent.touch()
    for reports, said in (((silent,), "empty"), ((), "Ask with")):
        with pytest.raises(Rejected, match=said):
            studies(world, Question(None, reports=reports, more=chosen("absent"), leaves_out_absent=True))


def test_an_answer_that_is_refused_before_it_is_compared_names_the_chosen_cases_too(world: World) -> None:
    world.encoder = RefusingEncoder()
    world.add("2", (1, 0, 0))
    answer = world.search().similar(Question((Path(__file__),), more=chosen("2")), TRUSTED)
    assert answer.refused is not None
    assert [reference.study_instance_uid for reference in answer.more] == ["2"]


PER_CLASS = 25
CHOSEN = 3
BENCH = Path(os.environ.get("CBIR_TEST_DATA", "")) / "bench"
MODEL = Path(__file__).parents[3] / "models" / "radiology-small"


@pytest.fixture(scope="module")
def labelled() -> list[tuple[SeriesEmbedding, str]]:
    """MR slices of a head, a study each, as the default encoder sees them, with their sequence.

    The encoder was not trained on them, and the index is not told the sequence.
    """
    encoder = OnnxEncoder(MODEL, threads=1)
    wanted = encoder.card.input.preprocessing
    rows = _some_of_each_class()
    pictures = [
        np.asarray(Image.open(BENCH / row["image"]).convert("L"), np.float32) / np.float32(255)
        for row in rows
    ]
    cv2.setNumThreads(1)
    vectors = np.concatenate([encoder.encode(preprocess(picture, wanted)[None]) for picture in pictures])
    return [
        (_one_image(place, row, vector, encoder.version), row["view_or_sequence"])
        for place, (row, vector) in enumerate(zip(rows, vectors, strict=True))
    ]


def _some_of_each_class() -> list[dict[str, str]]:
    taken: dict[str, dict[str, dict[str, str]]] = {}
    with (BENCH / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if (
                row["dataset"] == "lgg_multiseq_mr"
                and len(taken.setdefault(row["view_or_sequence"], {})) < PER_CLASS
            ):
                taken[row["view_or_sequence"]].setdefault(row["subject"], row)
    return [row for of_class in taken.values() for row in of_class.values()]


def _one_image(
    place: int, row: Mapping[str, str], vector: np.ndarray, version: EncoderVersion
) -> SeriesEmbedding:
    return SeriesEmbedding(
        reference=SeriesReference(f"1.{place}", f"1.{place}.1", f"archived-{place}"),
        attributes=SeriesAttributes("MR", "HEAD", patient=f"key:{row['subject']}"),
        encoder=version,
        frames=(FrameReference("1.2", f"1.{place}.1.1", 1),),
        vector=vector,
        frame_vectors=vector[None],
    )


@pytest.mark.shared_data
def test_a_round_of_more_and_less_finds_more_of_the_same_sequence_among_what_is_left(
    world: World, labelled: Sequence[tuple[SeriesEmbedding, str]]
) -> None:
    """Precision at 10 of the residual collection: what was chosen counts neither before nor after."""
    version = labelled[0][0].encoder
    world.line_ups = LineUps.alone(version)
    world.index.prepare(version)
    world.index.upsert([stored for stored, _ in labelled])
    sequence = {stored.reference.study_instance_uid: label for stored, label in labelled}
    before, after = [], []
    for stored, label in labelled:
        own = stored.reference.study_instance_uid
        first = studies(world, about(own, limit=30))
        top = first[:10]
        more = [uid for uid in top if sequence[uid] == label][:CHOSEN]
        less = [uid for uid in top if sequence[uid] != label][:CHOSEN]
        left = [uid for uid in first if uid not in {*more, *less}][:10]
        refined = studies(world, about(own, limit=10, more=chosen(*more), less=chosen(*less)))
        before.append(np.mean([sequence[uid] == label for uid in left]))
        after.append(np.mean([sequence[uid] == label for uid in refined]))
    assert np.mean(after) > np.mean(before) + 0.05
