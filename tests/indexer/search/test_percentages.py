"""Which pairs a match is compared with: those of the kind that the example and the match have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.domain import EncoderVersion
from indexer.ledger import Background
from indexer.search import ExampleReference, Question
from indexer.search.judging import Judge
from tests.indexer.search.world import ENCODER, TRUSTED, World, about, embedding

KEPT = {("MR", "BRAIN"): 0.2, ("MR", ""): 0.5, ("", ""): 0.9}
"""The score that half of the pairs do not reach."""


def narrowest(_: EncoderVersion, modality: str, part: str) -> Background:
    key = next(key for key in ((modality, part), (modality, ""), ("", "")) if key in KEPT)
    scores = np.linspace(2 * KEPT[key] - 1, 1, 101, dtype=np.float32)
    return Background(*key, 1000, scores, np.zeros(0, dtype=np.float32))


def test_a_match_of_another_kind_is_compared_with_pairs_of_all_kinds(world: World) -> None:
    world.judge = Judge(background=narrowest)
    world.add("1", (1, 0, 0), modality="MR", body_part_examined="BRAIN")
    world.add("2", (1, 0.1, 0), modality="MR", body_part_examined="BRAIN")
    world.add("3", (1, 0.2, 0), modality="MR", body_part_examined="LSPINE")
    world.add("4", (1, 0.3, 0), modality="CT", body_part_examined="BRAIN")
    found = world.search().similar(about("1"), TRUSTED).matches
    assert [match.percent_of for match in found] == ["body_part", "modality", "archive"]
    percents = [match.percent for match in found if match.percent is not None]
    assert percents == sorted(percents, reverse=True)
    assert percents[2] < 90


WIDE = Background(
    "MR", "", 1000, np.linspace(0.9, 1, 101, dtype=np.float32), np.linspace(0.9, 1, 50, dtype=np.float32)
)
STACK = ((1, 0, 0), (1, 0.4, 0), (0, 1, 0))


def test_of_some_frames_of_a_series_no_percentage_is_given_and_chance_says_nothing(world: World) -> None:
    """What is known of pairs is known of whole series; a slice has another place among them."""
    world.judge = Judge(background=lambda *_: WIDE)
    world.add("1", *STACK, modality="MR")
    world.add("2", (1, 0, 1), (0, 1, 1), modality="MR")
    assert world.search().similar(about("1"), TRUSTED).refused is not None
    one = Question(ExampleReference(sop_instance_uid="1.1.3", frame_number=1))
    (match,) = world.search().similar(one, TRUSTED).matches
    assert match.percent is None
    assert match.percent_of == "modality"


def test_the_only_frame_of_a_series_is_the_series(world: World) -> None:
    world.judge = Judge(background=narrowest)
    world.add("1", (1, 0, 0), modality="CR")
    world.add("2", (1, 0.1, 0), modality="CR")
    whole = world.search().similar(about("1"), TRUSTED).matches[0]
    one = Question(ExampleReference(sop_instance_uid="1.1.1", frame_number=1))
    assert world.search().similar(one, TRUSTED).matches[0].percent == whole.percent is not None


def test_one_frame_that_was_sent_is_a_series_beside_one_of_one_frame_and_a_slice_beside_a_stack(
    world: World, tmp_path: Path
) -> None:
    world.judge = Judge(background=narrowest)
    world.add("stack", *STACK, modality="CT")
    world.add("plate", (1, 0.1, 0), modality="CT")
    world.encoder.answer = (embedding("1", (1, 0, 0), modality="CT"),)
    file = tmp_path / "sent.dcm"
    file.write_bytes(b"DICM")
    by_study = {
        match.reference.study_instance_uid: match
        for match in world.search().similar(Question((file,)), TRUSTED).matches
    }
    assert by_study["stack"].percent is None
    assert by_study["plate"].percent is not None
    world.judge = Judge(background=lambda *_: replace(WIDE, quantiles=WIDE.quantiles + 0.2))
    world.index.delete(ENCODER, ["id-plate-1"])
    world.encoder.answer = (embedding("1", (0, 0.5, 1), modality="CT"),)
    assert world.search().similar(Question((file,)), TRUSTED).refused is None
    world.encoder.answer = (embedding("1", (0, 0.5, 1), (0, 0.4, 1), modality="CT"),)
    assert world.search().similar(Question((file,)), TRUSTED).refused is not None


def test_an_instance_between_those_that_were_sampled_is_a_part_and_one_not_indexed_yet_may_be_all(
    world: World,
) -> None:
    world.judge = Judge(background=narrowest)
    world.add("2", (1, 0.1, 0), modality="CT")
    archive_id = world.archive.put(study="1", series="1.1", sop="1.1.99")
    world.encoder.answer = (embedding("1", (1, 0, 0), modality="CT"),)
    question = Question(ExampleReference(sop_instance_uid="1.1.99"))
    assert world.search().similar(question, TRUSTED).matches[0].percent is not None
    sampled = embedding("1", *STACK, modality="CT")
    world.index.upsert([replace(sampled, reference=replace(sampled.reference, archive_id=archive_id))])
    assert world.search().similar(question, TRUSTED).matches[0].percent is None
