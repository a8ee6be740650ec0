"""`cbir search`: one question of the local command, answered in the words of the API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cbir.deployment import Deployment
from indexer.api.answering import AnswerBody
from indexer.api.asking import ExampleBody, QuestionBody, UploadOptions
from indexer.api.understood import QueryBody
from indexer.domain import Answer
from indexer.errors import Rejected
from indexer.ports import Caller
from indexer.search.question import MAX_TEXT

LOCAL = Caller("local command")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person typed: one of study, series and example (a file or a folder), or words, or both."""

    study: str | None
    series: str | None
    example: Path | None
    limit: int
    same_patient: bool
    text: str = ""
    text_weight: float = 0.5
    reads_reports: bool = False


def ask(deployment: Deployment, asked: Asked) -> tuple[Answer, AnswerBody]:
    """Search, and write the answer down as `POST /api/search` would.

    Raises:
        CbirError: as `Search.similar`; Rejected when several examples are named, or none and no words.
    """
    named = sum(one is not None for one in (asked.study, asked.series, asked.example))
    if named > 1 or (named == 0 and not asked.text.strip()):
        raise Rejected("Name one example: --study UID, --series UID or --example PATH, or ask with --text.")
    if len(asked.text) > MAX_TEXT:
        raise Rejected(f"The text has {len(asked.text)} characters; at most {MAX_TEXT} are read.")
    search = deployment.search(deployment.local_encoder)
    if asked.example is not None:
        files = _files(asked.example)
        options = UploadOptions(
            limit=asked.limit,
            same_patient=asked.same_patient,
            text=asked.text,
            text_weight=asked.text_weight,
            reads_reports=asked.reads_reports,
        )
        sent = options.among(files)
        answer = search.similar(options.about(sent), LOCAL)
        query = QueryBody.of(answer, options, uploaded=len(files), reports=len(sent.reports))
    else:
        question = _question(asked)
        answer = search.similar(question.to_domain(), LOCAL)
        query = QueryBody.of(answer, question)
    return answer, AnswerBody.of(answer, query, deployment.links)


def _question(asked: Asked) -> QuestionBody:
    try:
        return QuestionBody(
            example=_example(asked),
            limit=asked.limit,
            same_patient=asked.same_patient,
            text=asked.text,
            text_weight=asked.text_weight,
        )
    except ValidationError as wrong:
        raise Rejected("A UID is digits and dots, 64 characters at most: check what you typed.") from wrong


def _example(asked: Asked) -> ExampleBody | None:
    if asked.study is None and asked.series is None:
        return None
    return ExampleBody(study_instance_uid=asked.study, series_instance_uid=asked.series)


def _files(example: Path) -> tuple[Path, ...]:
    if example.is_file():
        return (example,)
    return tuple(sorted(path for path in example.rglob("*") if path.is_file()))
