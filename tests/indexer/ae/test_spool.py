from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.ae.spool import Spool, SpoolFull


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "deep" / "questions")
    assert spool.load() == ()
    return spool


def reopened(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "deep" / "questions")


def test_a_question_is_read_back_by_the_next_process(spool: Spool, tmp_path: Path) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"content")
    again = reopened(tmp_path)
    assert again.load() == (question,)
    assert [path.read_bytes() for path in again.instances(question)] == [b"content"]


def test_the_same_instance_twice_is_kept_once_and_the_later_wins(spool: Spool) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"first")
    spool.add_instance(question, "1.2.3.4", b"second")
    assert [path.read_bytes() for path in spool.instances(question)] == [b"second"]


def test_what_a_killed_process_left_half_done_is_swept_away(spool: Spool, tmp_path: Path) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    folder = tmp_path / "deep" / "questions"
    (folder / question.question_id / "instances" / "1.2.dcm.0.part").write_bytes(b"half")
    (folder / "without-record" / "instances").mkdir(parents=True)
    (folder / "without-record" / "instances" / "1.2.dcm").write_bytes(b"never acknowledged")
    again = reopened(tmp_path)
    assert again.load() == (question,)
    assert [path.name for path in folder.iterdir()] == [question.question_id]
    assert list(folder.rglob("*.part")) == []


def test_a_record_that_cannot_be_read_is_left_for_a_person_and_said(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "deep" / "questions" / "damaged"
    folder.mkdir()
    (folder / "question.json").write_text("{")
    assert reopened(tmp_path).load() == ()
    assert folder.exists()
    assert "question_unreadable question=damaged" in caplog.text


def test_the_answer_takes_the_place_of_the_instances(spool: Spool) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"content")
    answered = spool.put_answers(question, [b"sheet", b"report"])
    assert spool.instances(answered) == ()
    assert [path.read_bytes() for path in spool.answers(answered)] == [b"sheet", b"report"]


def test_every_answer_is_read_back_by_the_next_process(spool: Spool, tmp_path: Path) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    answered = spool.put_answers(replace(question, state="answered"), [b"sheet", b"report"])
    again = reopened(tmp_path)
    assert again.load() == (answered,)
    assert [path.read_bytes() for path in again.answers(answered)] == [b"sheet", b"report"]


def test_answers_whose_record_was_never_replaced_count_for_nothing(spool: Spool, tmp_path: Path) -> None:
    """A process that is killed between the last answer and the record leaves a question that waits."""
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"content")
    folder = tmp_path / "deep" / "questions" / question.question_id
    (folder / "answer-1.dcm").write_bytes(b"sheet")
    (folder / "answer-2.dcm").write_bytes(b"report")
    again = reopened(tmp_path)
    assert again.load() == (question,)
    assert [path.read_bytes() for path in again.instances(question)] == [b"content"]
    answered = again.put_answers(replace(question, state="answered"), [b"another report"])
    assert [path.read_bytes() for path in again.answers(answered)] == [b"another report"]


def test_the_quota_counts_answers_and_lets_go_of_what_they_replace(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "questions", max_bytes=3000)
    spool.load()
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.1", bytes(2000))
    answered = spool.put_answers(question, [bytes(1000), bytes(1000)])
    other = spool.create("WS1", "WS1=localhost:104", "1.2.4", now=5.0)
    with pytest.raises(SpoolFull, match="quota"):
        spool.add_instance(other, "1.2.2", bytes(1001))
    spool.remove(answered)
    spool.add_instance(other, "1.2.2", bytes(1001))


def test_an_answer_that_an_older_version_left_is_still_sent(spool: Spool, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "questions" / "old"
    folder.mkdir()
    record = {
        "question_id": "old",
        "caller": "WS1",
        "destination": "WS1=localhost:104",
        "study_instance_uid": "1.2.3",
        "received_at": 5.0,
        "state": "answered",
        "begun": 0,
        "answered_at": 6.0,
    }
    (folder / "question.json").write_text(json.dumps(record))
    (folder / "answer.dcm").write_bytes(b"report")
    again = reopened(tmp_path)
    [question] = again.load()
    assert [path.read_bytes() for path in again.answers(question)] == [b"report"]


def test_what_is_removed_is_gone(spool: Spool, tmp_path: Path) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"content")
    spool.remove(question)
    assert list((tmp_path / "deep" / "questions").iterdir()) == []


def test_files_and_folders_are_for_their_owner_only(spool: Spool, tmp_path: Path) -> None:
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.3.4", b"content")
    root = tmp_path / "deep" / "questions"
    modes = {path: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items())


def test_the_quota_counts_what_is_there_now(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "questions", max_bytes=1000)
    spool.load()
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.1", bytes(600))
    with pytest.raises(SpoolFull):
        spool.add_instance(question, "1.2.2", bytes(600))
    spool.remove(question)
    other = spool.create("WS1", "WS1=localhost:104", "1.2.4", now=5.0)
    spool.add_instance(other, "1.2.2", bytes(600))
    again = Spool(tmp_path / "questions", max_bytes=1000)
    again.load()
    with pytest.raises(SpoolFull):
        again.add_instance(other, "1.2.3", bytes(600))


def test_what_the_disk_does_not_let_go_is_removed_by_a_later_call_and_counts_until_then(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "questions", max_bytes=1000)
    spool.load()
    question = spool.create("WS1", "WS1=localhost:104", "1.2.3", now=5.0)
    spool.add_instance(question, "1.2.1", bytes(600))
    record = tmp_path / "questions" / question.question_id / "question.json"
    record.unlink()
    record.mkdir()
    with pytest.raises(SpoolFull):
        spool.remove(question)
    other = spool.create("WS1", "WS1=localhost:104", "1.2.4", now=5.0)
    with pytest.raises(SpoolFull, match="quota"):
        spool.add_instance(other, "1.2.2", bytes(600))
    record.rmdir()
    spool.remove(question)
    spool.remove(question)
    spool.add_instance(other, "1.2.2", bytes(600))
