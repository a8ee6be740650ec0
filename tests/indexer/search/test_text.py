"""Words are asked among images and among reports; what is shown is an image of the study."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from indexer.domain import EncoderVersion, Filters, Match
from indexer.errors import NotConfigured
from indexer.line_up import LineUps
from indexer.ports import Caller
from indexer.search import Question
from tests.indexer.search.world import ENCODER, TRUSTED, World, about, embedding

REPORT = {"modality": "SR", "kind": "report"}
TEXT_ENCODER = EncoderVersion("reads", "ef" * 32, 3)


@pytest.fixture
def reading(world: World) -> World:
    world.encoder.texts = {"effusion": (0, 1, 0)}
    return world


def asked(world: World, question: Question, caller: Caller = TRUSTED) -> list[Match]:
    return list(world.search().similar(question, caller).matches)


def order(matches: list[Match]) -> list[str]:
    return [match.reference.study_instance_uid for match in matches]


def test_images_that_answer_to_the_words_are_found(reading: World) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("2", (0, 1, 0.1))
    found = asked(reading, Question(None, text="effusion"))
    assert order(found) == ["2", "1"]
    assert found[0].answers is None
    assert found[0].example_frame is None
    assert not found[0].carried_by_report


def test_a_report_carries_its_study_and_an_image_of_it_is_shown(reading: World) -> None:
    reading.add("1", (0.2, 1, 0), modality="CR")
    reading.add("2", (1, 0, 0), series="image", modality="CR")
    reading.add("2", (0, 1, 0), series="report", **REPORT)
    found = asked(reading, Question(None, text="effusion"))
    assert order(found) == ["2", "1"]
    assert found[0].carried_by_report
    assert found[0].reference.series_instance_uid == "2.image"
    assert found[0].attributes.kind == "image"
    assert found[0].score == pytest.approx(1)
    assert not found[1].carried_by_report


def test_where_the_images_answer_better_the_report_carries_nothing(reading: World) -> None:
    reading.add("1", (0, 1, 0), series="image")
    reading.add("1", (1, 0, 0), series="report", **REPORT)
    (found,) = asked(reading, Question(None, text="effusion"))
    assert not found.carried_by_report
    assert found.score == pytest.approx(1)


def test_a_report_whose_images_are_not_indexed_is_not_shown(reading: World) -> None:
    reading.add("1", (0, 1, 0), series="report", **REPORT)
    reading.add("2", (1, 0, 0))
    assert order(asked(reading, Question(None, text="effusion"))) == ["2"]


def test_a_question_about_images_never_sees_a_report(reading: World) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("2", (1, 0, 0), series="report", **REPORT)
    reading.add("2", (1, 0.5, 0), series="image")
    (found,) = asked(reading, about("1"))
    assert found.reference.series_instance_uid == "2.image"


def test_filters_are_those_of_the_images_and_the_date_is_the_studys(reading: World) -> None:
    old, new = date(2010, 1, 1), date(2020, 1, 1)
    reading.add("1", (1, 0, 0), series="image", modality="CR", body_part_examined="CHEST", study_date=new)
    reading.add("1", (0, 1, 0), series="report", study_date=new, **REPORT)
    reading.add("2", (1, 0, 0), series="image", modality="CT", body_part_examined="CHEST", study_date=new)
    reading.add("2", (0, 1, 0), series="report", study_date=new, **REPORT)
    reading.add("3", (1, 0, 0), series="image", modality="CR", body_part_examined="CHEST", study_date=old)
    reading.add("3", (0, 1, 0), series="report", study_date=old, **REPORT)
    filters = Filters(("CR",), ("CHEST",), study_date_from=date(2015, 1, 1))
    (found,) = asked(reading, Question(None, text="effusion", filters=filters))
    assert found.reference.series_instance_uid == "1.image"
    assert found.carried_by_report


def test_reports_and_images_are_compared_on_one_scale(reading: World) -> None:
    """Words are always nearer to words than to pixels: that alone must not bring a study to the top."""
    for number in range(10):
        reading.add(f"picture {number}", (1, 0.1 + 0.05 * number, 0))
        reading.add(f"report {number}", (1, 0.05, 0), series="image")
        reading.add(f"report {number}", (0.6, 1 + 0.02 * number, 0), series="report", **REPORT)
    found = asked(reading, Question(None, text="effusion", limit=6))
    assert {uid.split()[0] for uid in order(found)} == {"picture", "report"}
    assert "report 9" in order(found)
    assert "picture 9" in order(found)


def add_pair_of_opposites(world: World) -> None:
    world.add("1", (1, 0, 0))
    world.add("like the example", (1, 0.1, 0.2))
    world.add("like the words", (0.4, 1, 0.2))
    for number in range(6):
        world.add(f"between {number}", (1, 0.2, 0.8 + 0.1 * number))


def test_the_weight_moves_from_the_example_to_the_words(reading: World) -> None:
    add_pair_of_opposites(reading)
    by_weight = {
        weight: asked(reading, about("1", text="effusion", text_weight=weight)) for weight in (0, 0.5, 1)
    }
    assert order(by_weight[0])[0] == "like the example"
    assert order(by_weight[1])[0] == "like the words"
    plain = {match.reference.study_instance_uid: match.score for match in asked(reading, about("1"))}
    weightless = {match.reference.study_instance_uid: match.score for match in by_weight[0]}
    assert weightless == pytest.approx(plain)
    assert all(-1 <= match.score <= 1 for match in by_weight[0.5])


def test_words_that_stand_out_keep_their_order_where_scores_end(reading: World) -> None:
    reading.add("1", (1, 0, 0))
    for number in range(30):
        reading.add(f"plain {number:02}", (1, -0.5, 0.02 * number))
    reading.add("b nearest the words", (0.01, 1, 0))
    reading.add("a nearly as near", (0.01, 1, 0.05))
    found = asked(reading, about("1", text="effusion", text_weight=1.0))
    assert order(found)[:2] == ["b nearest the words", "a nearly as near"]
    assert found[0].score == found[1].score == 1


def test_with_an_example_its_series_carry_the_match(reading: World) -> None:
    reading.add("1", (1, 0, 0))
    reading.add("2", (1, 0.3, 0), series="image")
    reading.add("2", (0, 1, 0), series="report", **REPORT)
    (found,) = asked(reading, about("1", text="effusion"))
    assert found.answers is not None
    assert found.answers.series_instance_uid == "1.1"
    assert found.pair_score == pytest.approx(1 / 1.09**0.5, abs=1e-6)
    assert found.carried_by_report


def test_words_that_no_encoder_reads_are_refused(world: World) -> None:
    world.add("1", (1, 0, 0))
    with pytest.raises(NotConfigured):
        asked(world, Question(None, text="effusion"))


def test_images_that_another_encoder_holds_are_shown_for_their_report(reading: World) -> None:
    reading.line_ups = LineUps.alone(ENCODER, TEXT_ENCODER)
    reading.encoder.text_encoder = TEXT_ENCODER
    reading.index.prepare(TEXT_ENCODER)
    reading.add("1", (1, 0, 0), (0, 0, 1), (0, 1, 0), series="image", modality="CR")
    reading.add("2", (1, 0, 0), series="image", modality="CR")
    for study, direction in (("1", (0, 1, 0.3)), ("2", (0, 1, 0)), ("3", (0, 1, 0))):
        report = embedding(study, direction, series="report", **REPORT)
        reading.index.upsert([replace(report, encoder=TEXT_ENCODER)])
    found = asked(reading, Question(None, text="effusion"))
    assert order(found) == ["2", "1"]
    assert all(match.carried_by_report for match in found)
    assert found[1].reference.series_instance_uid == "1.image"
    assert found[1].frame.sop_instance_uid == "1.image.2"
    assert found[0].score == pytest.approx(1)


def test_without_a_report_that_the_caller_may_not_see_a_study_is_ranked_by_its_images(reading: World) -> None:
    credentials = {"Authorization": "Basic eA=="}
    reading.add_shown("1", (0.5, 1, 0), credentials, series="image")
    reading.add_shown("2", (1, 0.2, 0), credentials, series="image")
    reading.add("2", (0, 1, 0), series="report", **REPORT)
    hers = asked(reading, Question(None, text="effusion"), Caller("someone", credentials))
    assert order(hers) == ["1", "2"]
    assert not hers[1].carried_by_report
    assert hers[1].score == pytest.approx(0.2 / 1.04**0.5)
    everybodys = asked(reading, Question(None, text="effusion"))
    assert order(everybodys) == ["2", "1"]
    assert everybodys[0].carried_by_report


def test_a_report_that_the_caller_may_not_see_brings_no_study_to_light(reading: World) -> None:
    """Its images are with an encoder that reads no text: nothing but the report answers to words."""
    credentials = {"Authorization": "Basic eA=="}
    reading.line_ups = LineUps.alone(ENCODER, TEXT_ENCODER)
    reading.encoder.text_encoder = TEXT_ENCODER
    reading.index.prepare(TEXT_ENCODER)
    reading.add_shown("1", (1, 0, 0), credentials, series="image")
    report = embedding("1", (0, 1, 0), series="report", **REPORT)
    reading.index.upsert([replace(report, encoder=TEXT_ENCODER)])
    question = Question(None, text="effusion")
    assert asked(reading, question, Caller("someone", credentials)) == []
    assert order(asked(reading, question)) == ["1"]
