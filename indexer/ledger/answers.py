"""What the askers of the AE were answered: kept for a while, so that they can collect the cases by DICOM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from indexer.domain import Answer, Match, Pairs, SeriesEmbedding
from indexer.ledger.schema import ANSWERS, AnyRow

MOST_READ: Final = 100
"""Questions of one caller that are looked through; older ones are as good as forgotten."""
MOST_INSTANCES: Final = 24
"""Instances of an example that are kept by their UIDs: evenly chosen of more."""


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A match as it is kept: where it is, how alike, and nothing that names a person.

    `score` is in [-1, 1], `percent` in [0, 100] of the `percent_of` pairs, or None; `frame_number` is
    1-based. `archive_id` names the series that carried the match. `possible_same_person` is as in `Match`.
    """

    rank: int
    score: float
    percent: float | None
    study_instance_uid: str
    series_instance_uid: str
    archive_id: str
    sop_instance_uid: str
    frame_number: int
    modality: str
    body_part_examined: str
    sequence: str
    plane: str
    study_date: date | None
    percent_of: Pairs = "body_part"
    possible_same_person: bool = False

    @classmethod
    def of(cls, match: Match) -> KeptCase:
        """What is kept of one match."""
        return cls(
            rank=match.rank,
            score=match.score,
            percent=match.percent,
            study_instance_uid=match.reference.study_instance_uid,
            series_instance_uid=match.reference.series_instance_uid,
            archive_id=match.reference.archive_id,
            sop_instance_uid=match.frame.sop_instance_uid,
            frame_number=match.frame.frame_number,
            modality=match.attributes.modality,
            body_part_examined=match.attributes.body_part_examined,
            sequence=match.attributes.sequence,
            plane=match.attributes.plane,
            study_date=match.attributes.study_date,
            percent_of=match.percent_of,
            possible_same_person=match.possible_same_person,
        )


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One question of a caller and the cases it was answered with, in rank order.

    `study_instance_uid` is the example's, and `patient` its patient's pseudonym, empty where it has none;
    `instances` are SOP Instance UIDs of the images that were compared, evenly chosen of many.
    `refused` is one word, empty where the question was answered, and `message` its sentence.
    `called` is the AE title of ours that it was sent to, empty for the first.
    """

    question_id: str
    caller: str
    asked_at: datetime
    study_instance_uid: str
    cases: tuple[KeptCase, ...] = ()
    refused: str = ""
    message: str = ""
    patient: str = field(default="", repr=False)
    instances: tuple[str, ...] = ()
    called: str = ""

    @classmethod
    def of(
        cls,
        answer: Answer,
        *,
        question_id: str,
        caller: str,
        asked_at: datetime,
        study_instance_uid: str,
        called: str = "",
    ) -> KeptAnswer:
        """What is kept of one answer."""
        refusal = answer.refused
        return cls(
            question_id=question_id,
            caller=caller,
            asked_at=asked_at,
            study_instance_uid=study_instance_uid,
            cases=tuple(KeptCase.of(match) for match in answer.matches),
            refused=refusal.reason if refusal else "",
            message=refusal.message if refusal else "",
            patient=(answer.example[0].attributes.patient or "") if answer.example else "",
            instances=_instances(answer.example),
            called=called,
        )


def write_answer(connection: Connection, kept: KeptAnswer) -> None:
    """Keep one answer, in place of an earlier one to the same question."""
    connection.execute(delete(ANSWERS).where(ANSWERS.c.question_id == kept.question_id))
    connection.execute(
        insert(ANSWERS).values(
            question_id=kept.question_id,
            caller=kept.caller,
            asked_at=kept.asked_at,
            study_instance_uid=kept.study_instance_uid,
            answer=_to_json(kept),
        )
    )


def read_answers(connection: Connection, caller: str, since: datetime) -> list[KeptAnswer]:
    """The answers to one caller's questions since then, the newest first, 100 at most."""
    rows = connection.execute(
        select(ANSWERS)
        .where(ANSWERS.c.caller == caller, ANSWERS.c.asked_at >= since)
        .order_by(ANSWERS.c.asked_at.desc(), ANSWERS.c.question_id)
        .limit(MOST_READ)
    )
    return [_from_row(row) for row in rows]


def read_answer(connection: Connection, question_id: str) -> KeptAnswer | None:
    """The answer to one question; None when it is not kept."""
    row = connection.execute(select(ANSWERS).where(ANSWERS.c.question_id == question_id)).first()
    return None if row is None else _from_row(row)


def delete_answers(connection: Connection, before: datetime) -> int:
    """Forget the answers of questions before then; gives their count."""
    return connection.execute(delete(ANSWERS).where(ANSWERS.c.asked_at < before)).rowcount


def _instances(example: Sequence[SeriesEmbedding]) -> tuple[str, ...]:
    every = list(dict.fromkeys(frame.sop_instance_uid for series in example for frame in series.frames))
    count = min(MOST_INSTANCES, len(every))
    return tuple(every[place * len(every) // count] for place in range(count))


def _to_json(kept: KeptAnswer) -> str:
    cases = [{**asdict(case), "study_date": _iso(case.study_date)} for case in kept.cases]
    said = {"cases": cases, "refused": kept.refused, "message": kept.message, "patient": kept.patient}
    return json.dumps({**said, "instances": kept.instances, "called": kept.called}, separators=(",", ":"))


def _from_row(row: AnyRow) -> KeptAnswer:
    said = json.loads(row.answer)
    return KeptAnswer(
        question_id=row.question_id,
        caller=row.caller,
        asked_at=row.asked_at,
        study_instance_uid=row.study_instance_uid,
        cases=_cases(said["cases"]),
        refused=said["refused"],
        message=said["message"],
        patient=said.get("patient", ""),
        instances=tuple(said.get("instances", ())),
        called=said.get("called", ""),
    )


def _cases(said: Sequence[dict[str, Any]]) -> tuple[KeptCase, ...]:
    """Where it was not kept what a percentage is of, it is taken for the weakest kind."""
    cases = (KeptCase(**{"percent_of": "archive", **case}) for case in said)
    return tuple(
        replace(case, study_date=date.fromisoformat(str(case.study_date)) if case.study_date else None)
        for case in cases
    )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
