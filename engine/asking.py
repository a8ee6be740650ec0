"""From an HTTP request to the engine's thread and back, in Qdrant's form of answers and errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from engine.catalogue import Catalogue
from engine.errors import BadRequest, EngineError, TimedOut, TooLarge
from engine.thread import EngineThread

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES = 32 * 1024 * 1024
PARAMETERS = frozenset({"wait", "timeout"})


class Asking:
    """One request on its way."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._engine: EngineThread = request.app.state.engine
        self._started = time.perf_counter()
        self.body_bytes = 0

    async def body(self, model: type[M]) -> M:
        """The body as a checked value. Raises BadRequest for anything unknown in it."""
        body = bytearray()
        async for chunk in self._request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TooLarge(
                    f"Payload error: JSON payload is larger than allowed (limit: {MAX_BODY_BYTES} bytes)."
                )
        self.body_bytes = len(body)
        try:
            return model.model_validate_json(bytes(body))
        except ValidationError as error:
            raise BadRequest(f"Format error in JSON body: {explained(error)}") from error

    @property
    def waits(self) -> bool:
        """Whether the client asked with wait=true; the engine always does the work first."""
        return self._request.query_params.get("wait") == "true"

    async def answer(self, work: Callable[[Catalogue], Any]) -> Response:
        """Do it on the engine's thread and answer with its result."""
        return await self.settled(self._engine.submit(work, self.body_bytes))

    async def upserted(self, collection: str, points: list[Any]) -> Response:
        """Store points, together with those of other requests that wait, and acknowledge."""
        future = self._engine.upsert(collection, points, self.body_bytes)
        return await self.settled(future, lambda _: self.acknowledged())

    def acknowledged(self) -> dict[str, Any]:
        """What a change of points answers with."""
        return {"operation_id": None, "status": "completed" if self.waits else "acknowledged"}

    async def settled(
        self, future: Future[Any], shown: Callable[[Any], Any] = lambda result: result
    ) -> Response:
        """The answer when the future has its result. A job that did not start in time is not done."""
        waiting = asyncio.wrap_future(future)
        done, _ = await asyncio.wait({waiting}, timeout=self._timeout_s())
        if not done and future.cancel():
            raise TimedOut("Timeout error: the request waited too long for the engine")
        return answered(shown(await waiting), self._started)

    def check_parameters(self) -> None:
        """Raise BadRequest for a query parameter that the engine does not know."""
        unknown = self._request.query_params.keys() - PARAMETERS
        if unknown:
            raise BadRequest(f"Wrong input: unknown query parameters {sorted(unknown)}")
        self._timeout_s()

    def _timeout_s(self) -> float | None:
        text = self._request.query_params.get("timeout")
        if text is None:
            return None
        if not text.isdigit() or int(text) < 1:
            raise BadRequest(f"Wrong input: timeout is a number of seconds, not {text!r}")
        return float(text)


def answered(result: object, started: float) -> Response:
    """A result in Qdrant's envelope."""
    body = to_json({"result": result, "status": "ok", "time": time.perf_counter() - started})
    return Response(body, media_type="application/json")


def refused(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """An error in Qdrant's envelope."""
    body = to_json({"status": {"error": text}, "time": 0.0})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def explained(error: ValidationError) -> str:
    """What is wrong, field by field, without the values (they may be large)."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in found[:5])


async def on_refused(_: Request, error: Exception) -> Response:
    """The answer to an error that the client must hear about."""
    assert isinstance(error, EngineError)  # noqa: S101 - registered for this class only
    return refused(error.status, str(error), {"Retry-After": "1"} if error.status == 429 else None)


async def on_failure(_: Request, error: Exception) -> Response:
    """The answer to an error that nobody foresaw."""
    logger.error("request_failed error=%s", type(error).__name__, exc_info=error)
    return refused(500, f"Service internal error: {error}")
