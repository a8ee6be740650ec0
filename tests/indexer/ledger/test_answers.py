"""What a caller was answered is kept for its own eyes, and forgotten after a while."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
from sqlalchemy import create_engine, select, update

from indexer.domain import (
    Answer,
    EncoderVersion,
    FrameReference,
    Match,
    Refusal,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
)
from indexer.ledger import KeptAnswer, KeptCase, Ledger
from indexer.ledger.answers import MOST_INSTANCES
from indexer.ledger.schema import ANSWERS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CASE = KeptCase(
    1, 0.873, 99.4, "1.2", "1.2.1", "archive-id", "1.2.1.1", 3, "MR", "HEAD", "T1", "AXIAL", date(2020, 1, 2)
)


def kept(question_id: str, caller: str = "WS1", asked_at: datetime = NOW, **more: object) -> KeptAnswer:
    answer = KeptAnswer(question_id, caller, asked_at, "1.9", (CASE, replace(CASE, rank=2, study_date=None)))
    return replace(answer, **more)  # type: ignore[arg-type]


def test_an_answer_comes_back_as_it_was_kept(ledger: Ledger) -> None:
    ledger.keep_answer(kept("q"))
    assert ledger.answers_of("WS1", NOW - HOUR) == [kept("q")]
    assert ledger.answer_to("q") == kept("q")
    assert ledger.answer_to("another") is None


def test_a_percentage_that_does_not_say_what_it_is_of_is_taken_for_one_of_all_pairs(
    ledger: Ledger, database_url: str
) -> None:
    said = replace(kept("q"), cases=(replace(CASE, percent_of="modality"),))
    ledger.keep_answer(said)
    assert ledger.answer_to("q") == said
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        row = json.loads(connection.execute(select(ANSWERS.c.answer)).scalar_one())
        del row["cases"][0]["percent_of"]
        connection.execute(update(ANSWERS).values(answer=json.dumps(row)))
    engine.dispose()
    read = ledger.answer_to("q")
    assert read is not None
    assert read.cases == (replace(CASE, percent_of="archive"),)


def test_the_newest_question_comes_first_and_those_of_others_never(ledger: Ledger) -> None:
    ledger.keep_answer(kept("early", asked_at=NOW - HOUR))
    ledger.keep_answer(kept("late"))
    ledger.keep_answer(kept("theirs", caller="WS2"))
    assert [a.question_id for a in ledger.answers_of("WS1", NOW - 2 * HOUR)] == ["late", "early"]
    assert [a.question_id for a in ledger.answers_of("WS1", NOW - HOUR / 2)] == ["late"]
    assert ledger.answers_of("ws1", NOW - 2 * HOUR) == []


def test_the_same_question_answered_again_is_kept_once(ledger: Ledger) -> None:
    ledger.keep_answer(kept("q"))
    ledger.keep_answer(kept("q", cases=()))
    assert [a.cases for a in ledger.answers_of("WS1", NOW - HOUR)] == [()]


def test_old_answers_are_forgotten(ledger: Ledger) -> None:
    ledger.keep_answer(kept("old", asked_at=NOW - 2 * HOUR))
    ledger.keep_answer(kept("new"))
    assert ledger.forget_answers(NOW - HOUR) == 1
    assert [a.question_id for a in ledger.answers_of("WS1", NOW - 9 * HOUR)] == ["new"]


def test_a_refusal_is_kept_with_its_reason(ledger: Ledger) -> None:
    answer = Answer((), None, (), 1.0, refused=Refusal("blank", "The frame is blank."))
    refused = KeptAnswer.of(answer, question_id="q", caller="WS1", asked_at=NOW, study_instance_uid="1.9")
    ledger.keep_answer(refused)
    [found] = ledger.answers_of("WS1", NOW)
    assert (found.cases, found.refused, found.message) == ((), "blank", "The frame is blank.")


def test_of_an_answer_from_before_it_is_not_known_whose_the_example_was(
    ledger: Ledger, database_url: str
) -> None:
    ledger.keep_answer(kept("q", patient="key:hash"))
    assert ledger.answer_to("q") == kept("q", patient="key:hash")
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        row = json.loads(connection.execute(select(ANSWERS.c.answer)).scalar_one())
        del row["patient"], row["instances"]
        connection.execute(update(ANSWERS).values(answer=json.dumps(row)))
    engine.dispose()
    assert ledger.answer_to("q") == kept("q")


def test_an_answer_from_before_is_one_of_the_first_title(ledger: Ledger, database_url: str) -> None:
    ledger.keep_answer(kept("q", called="CBIR_CT"))
    assert ledger.answer_to("q") == kept("q", called="CBIR_CT")
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        row = json.loads(connection.execute(select(ANSWERS.c.answer)).scalar_one())
        del row["called"]
        connection.execute(update(ANSWERS).values(answer=json.dumps(row)))
    engine.dispose()
    assert ledger.answer_to("q") == kept("q")


def test_of_the_images_that_were_compared_some_are_kept_by_their_uids(ledger: Ledger) -> None:
    asked = (example("1.9.1", 3), example("1.9.2", 200), example("1.9.1", 3))
    answer = Answer(asked, None, (), 1.0)
    sent = KeptAnswer.of(answer, question_id="q", caller="WS1", asked_at=NOW, study_instance_uid="1.9")
    ledger.keep_answer(sent)
    found = ledger.answer_to("q")
    assert found == sent
    assert len(set(sent.instances)) == len(sent.instances) == MOST_INSTANCES
    assert sent.instances[0] == "1.9.1.0"
    assert set(sent.instances) <= {f.sop_instance_uid for one in asked for f in one.frames}
    few = replace(answer, example=asked[:1])
    sent = KeptAnswer.of(few, question_id="q", caller="WS1", asked_at=NOW, study_instance_uid="1.9")
    assert sent.instances == ("1.9.1.0", "1.9.1.1", "1.9.1.2")


def example(series_instance_uid: str, instances: int) -> SeriesEmbedding:
    vectors = np.eye(1, 2, dtype=np.float32).repeat(instances, axis=0)
    uids = [f"{series_instance_uid}.{number}" for number in range(instances)]
    return SeriesEmbedding(
        reference=SeriesReference("1.9", series_instance_uid, "example"),
        attributes=SeriesAttributes("CT"),
        encoder=EncoderVersion("grey32", "ab" * 32, 2),
        frames=tuple(FrameReference("1.2.840.10008.5.1.4.1.1.2", uid, 1) for uid in uids),
        vector=vectors[0],
        frame_vectors=vectors,
    )


def test_nothing_is_kept_of_a_match_that_names_a_person() -> None:
    match = Match(
        rank=1,
        score=0.9,
        reference=SeriesReference("1.2", "1.2.1", "archive-id"),
        attributes=SeriesAttributes("MR", "HEAD", date(2020, 1, 2), patient="key:hash"),
        frame=FrameReference("1.2.840.10008.5.1.4.1.1.4", "1.2.1.1", 3),
        encoder=EncoderVersion("grey32", "ab" * 32, 2),
        percent=99.4,
    )
    case = KeptCase.of(match)
    assert "key:hash" not in {getattr(case, field.name) for field in fields(case)}
    assert (case.study_instance_uid, case.frame_number, case.percent) == ("1.2", 3, 99.4)
