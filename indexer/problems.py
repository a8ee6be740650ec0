"""Every error as a problem document that says what to do (RFC 9457)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from indexer.errors import CbirError, NotIndexed, Overloaded, Unavailable
from indexer.wire import PROBLEM, Problem

RETRY_AFTER_S: Final = {429: 1, 503: 5}

logger = logging.getLogger(__name__)


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = PROBLEM


def problem(
    status: int, detail: str, reason: str, headers: Mapping[str, str] | None = None, **more: object
) -> ProblemResponse:
    """A problem document of one HTTP status.

    Args:
        status: the HTTP status.
        detail: a sentence for a person that says what to do; no patient data.
        reason: one word in snake case for programs.
        headers: to send with it.
        more: further members of the document.
    """
    document = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason)
    sent = dict(headers or {})
    if status in RETRY_AFTER_S:
        sent.setdefault("Retry-After", str(RETRY_AFTER_S[status]))
    return ProblemResponse(document.model_dump() | more, status_code=status, headers=sent)


def problem_of(error: CbirError) -> ProblemResponse:
    """The problem document of an error of ours."""
    document = Problem.of(error)
    more = {"state": error.state} if isinstance(error, NotIndexed) else {}
    if isinstance(error, Unavailable) and not isinstance(error, Overloaded):
        logger.warning("neighbour_unavailable reason=%s detail=%s", document.reason, document.detail)
    return problem(document.status, document.detail, document.reason, None, **more)


def unexpected(error: Exception, where: str) -> ProblemResponse:
    """A fault of ours: its place goes to the log, its text nowhere, for it may quote what was sent."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    at = f"{place[0].filename}:{place[0].lineno}" if place else "?"
    logger.error("unexpected_error where=%s kind=%s at=%s", where, type(error).__name__, at)
    return problem(500, "This is a fault of the server: its log says where. Tell its administrator.", "fault")


def install(app: FastAPI) -> None:
    """Let every error that a route raises leave as a problem document."""

    @app.exception_handler(CbirError)
    async def _ours(_request: Request, error: CbirError) -> ProblemResponse:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def _malformed(_request: Request, error: RequestValidationError) -> ProblemResponse:
        errors = [_explained(one) for one in error.errors()]
        first = f"{errors[0]['where']}: {errors[0]['what']}" if errors else "it is malformed"
        return problem(422, f"The request is not understood. {first}.", "malformed", errors=errors)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> ProblemResponse:
        detail = _ADVICE.get(error.status_code, str(error.detail))
        reason = HTTPStatus(error.status_code).name.lower()
        return problem(error.status_code, detail, reason, headers=error.headers)


_ADVICE: Final = {
    400: "The body cannot be read: send JSON as /docs describes it.",
    404: "There is nothing at this address: /docs lists what there is.",
    405: "This address answers to another method: see /docs.",
}


def _explained(error: Mapping[str, Any]) -> dict[str, object]:
    """Where and what, never the value: it may be a name."""
    where = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        return {"where": where, "what": "unknown; remove it, or see /docs for what is allowed"}
    return {"where": where, "what": str(error["msg"]).rstrip(".")}


def _place(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location)
