"""Asking: by what is indexed, or with DICOM that is sent along."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from indexer.answers.dicom_json import MEDIA_TYPE, NOTICE, OUTCOME, said_of, to_dicom_json
from indexer.answers.example import read_instance
from indexer.answers.links import Links
from indexer.api.answering import AnswerBody
from indexer.api.asking import MAX_TEXT_HEADER, QuestionBody, UploadOptions
from indexer.api.house import House, TheCaller, TheGates, TheHouse, TheSettings
from indexer.api.maps import ThePairMaps
from indexer.api.metrics import Metrics, TheMetrics
from indexer.api.progress import NDJSON, SeriesBySeries, Tell, told
from indexer.api.understood import QueryBody
from indexer.domain import Answer, MatchMap
from indexer.errors import CbirError, Rejected, TooLarge
from indexer.intake import KINDS, Received, reader_for, received
from indexer.ports import Caller
from indexer.search import Question

CHUNK_BYTES: Final = 2**20
EXAMPLE_SIDE: Final = 512

router = APIRouter(prefix="/api", tags=["ask"])
logger = logging.getLogger(__name__)
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": AnswerBody,
        "content": {MEDIA_TYPE: {"schema": {"type": "array"}}},
        "headers": {
            NOTICE: {"description": f"With {MEDIA_TYPE}: not for diagnosis.", "schema": {"type": "string"}},
            OUTCOME: {
                "description": f"With {MEDIA_TYPE}: found, none-found, or refused; reason=word.",
                "schema": {"type": "string"},
            },
        },
    }
}
_BODIES: Final = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS},
    }
}


@router.post("/search", response_model=None, responses=_ANSWERS)
def search(
    request: Request,
    body: Annotated[QuestionBody, Body()],
    house: TheHouse,
    settings: TheSettings,
    gates: TheGates,
    metrics: TheMetrics,
    caller: TheCaller,
) -> Response:
    """Find prior studies that look like an example that is in the archive."""
    with gates.questions.entered():
        answer = _asked(house, metrics, body.to_domain(), caller, "reference")
    return _response(request, answer, QueryBody.of(answer, body), settings.links)


@router.post("/search/upload", response_model=None, responses=_ANSWERS, openapi_extra=_BODIES)
async def search_upload(
    request: Request,
    options: Annotated[UploadOptions, Query()],
    text: Annotated[str, Header(alias="X-CBIR-Text", max_length=MAX_TEXT_HEADER)] = "",
    *,
    house: TheHouse,
    settings: TheSettings,
    gates: TheGates,
    metrics: TheMetrics,
    caller: TheCaller,
    room: ThePairMaps,
) -> Response:
    """Find prior studies that look like DICOM that is sent along; nothing of it is kept.

    Who accepts application/x-ndjson gets a line for every step, the answer in the last one. The text that
    is asked with comes in X-CBIR-Text, base64 of its UTF-8, so that no server on the way logs it.
    """
    options = options.with_text(text)
    with ExitStack() as held:
        held.enter_context(gates.uploads.entered())
        folder = Path(held.enter_context(TemporaryDirectory(prefix="cbir-upload-")))
        upload = await _received(request, folder, settings.max_upload_bytes)

        def answer(asked: House) -> Response:
            with gates.questions.entered():
                sent = options.among(upload.paths)
                understood = options.with_words_of(sent)
                found = _asked(asked, metrics, understood.about(sent), caller, "upload")
            query = QueryBody.of(
                found,
                understood,
                uploaded=len(upload.paths),
                ignored=upload.ignored,
                reports=len(sent.reports),
                picture=_picture(house, found, upload.paths) if options.picture else None,
            )
            maps = room.of_answer(found, partial(_path_of, upload.paths)) if options.maps else {}
            return _response(request, found, query, settings.links, maps)

        if NDJSON not in request.headers.get("accept", ""):
            return await run_in_threadpool(answer, house)
        kept = held.pop_all()

        def answer_in_steps(tell: Tell) -> Response:
            with kept:
                encoder = SeriesBySeries(house.encoder, tell)
                return answer(replace(house, search=house.search.embedding_with(encoder)))

        return told(answer_in_steps, len(upload.paths))


def _asked(house: House, metrics: Metrics, question: Question, caller: Caller, way: str) -> Answer:
    with metrics.question(way):
        answer = house.search.similar(question, caller)
    logger.info(
        "question_answered caller=%s way=%s study=%s matches=%d took_ms=%.0f",
        caller.name,
        way,
        answer.example[0].reference.study_instance_uid if answer.example else "",
        len(answer.matches),
        answer.took_ms,
    )
    return answer


async def _received(request: Request, folder: Path, max_bytes: int) -> Received:
    """Stream the body to the disk. Writing happens in threads: a slow disk stops nobody else."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise TooLarge(f"The upload is larger than {max_bytes} bytes: send fewer instances.")
    parts = folder / "parts"
    parts.mkdir()
    with reader_for(request.headers.get("content-type", ""), parts, max_bytes=max_bytes) as reader:
        gathered = bytearray()
        try:
            async for chunk in request.stream():
                gathered += chunk
                if len(gathered) >= CHUNK_BYTES:
                    await run_in_threadpool(reader.feed, bytes(gathered))
                    gathered.clear()
        except ClientDisconnect as gone:
            raise Rejected("The upload was cut off: send it again.", reason="cut_off") from gone
        await run_in_threadpool(reader.feed, bytes(gathered))
        files = await run_in_threadpool(reader.finish)
    return await run_in_threadpool(lambda: received(files, folder, max_bytes=max_bytes))


def _response(
    request: Request,
    answer: Answer,
    query: QueryBody,
    links: Links,
    maps: Mapping[int, tuple[MatchMap, MatchMap]] | None = None,
) -> Response:
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return JSONResponse(
            to_dicom_json(answer, links), headers=dict(said_of(answer)), media_type=MEDIA_TYPE
        )
    return JSONResponse(AnswerBody.of(answer, query, links, maps).model_dump(mode="json"))


def _picture(house: House, answer: Answer, paths: tuple[Path, ...]) -> str | None:
    """The example's frame that the best match is nearest to, as a data URL; None when it cannot be had."""
    if not answer.example:
        return None
    first = answer.example[0]
    nearest = answer.matches[0].example_frame if answer.matches else None
    frame = nearest or first.frames[len(first.frames) // 2]
    try:
        path = _path_of(paths, frame.sop_instance_uid)
        png = house.encoder.render(path, frame.frame_number, EXAMPLE_SIDE)
    except CbirError:
        return None
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _path_of(paths: tuple[Path, ...], sop_instance_uid: str) -> Path:
    for path in paths:
        with path.open("rb") as file:
            if read_instance(file).sop_instance_uid == sop_instance_uid:
                return path
    raise Rejected(f"{sop_instance_uid} is not among the files.")
