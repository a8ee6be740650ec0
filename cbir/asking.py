"""`cbir search`: one question of the local command, answered in the words of the API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cbir.deployment import Deployment
from indexer.api.answering import AnswerBody, QueryBody
from indexer.api.asking import ExampleBody, QuestionBody, UploadOptions
from indexer.domain import Answer
from indexer.errors import Rejected
from indexer.ports import Caller

LOCAL = Caller("local command")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person typed: exactly one of study, series and example (a file or a folder)."""

    study: str | None
    series: str | None
    example: Path | None
    limit: int
    same_patient: bool


def ask(deployment: Deployment, asked: Asked) -> tuple[Answer, AnswerBody]:
    """Search, and write the answer down as `POST /api/search` would.

    Raises:
        CbirError: as `Search.similar`; Rejected when not exactly one example is named.
    """
    if sum(named is not None for named in (asked.study, asked.series, asked.example)) != 1:
        raise Rejected("Name one example: --study UID, --series UID or --example PATH.")
    search = deployment.search(deployment.local_encoder)
    if asked.example is not None:
        files = _files(asked.example)
        options = UploadOptions(limit=asked.limit, same_patient=asked.same_patient)
        answer = search.similar(options.about(files), LOCAL)
        query = QueryBody.of(answer, options, uploaded=len(files))
    else:
        question = _question(asked)
        answer = search.similar(question.to_domain(), LOCAL)
        query = QueryBody.of(answer, question)
    return answer, AnswerBody.of(answer, query, deployment.links)


def _question(asked: Asked) -> QuestionBody:
    try:
        return QuestionBody(
            example=ExampleBody(study_instance_uid=asked.study, series_instance_uid=asked.series),
            limit=asked.limit,
            same_patient=asked.same_patient,
        )
    except ValidationError as wrong:
        raise Rejected("A UID is digits and dots, 64 characters at most: check what you typed.") from wrong


def _files(example: Path) -> tuple[Path, ...]:
    if example.is_file():
        return (example,)
    return tuple(sorted(path for path in example.rglob("*") if path.is_file()))
