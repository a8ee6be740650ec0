"""Several encoders: each series is compared by the one that made its vector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.domain import EncoderVersion, SeriesEmbedding
from indexer.errors import NotFound
from indexer.line_up import LineUp, LineUps, RoutedEncoder
from indexer.search import ExampleReference, Question, Search
from tests.indexer.search.world import ENCODER, TRUSTED, World, embedding

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
