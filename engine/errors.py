"""What the engine says no with; each class is one HTTP status."""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Anything the engine answers with an error; the text goes to the client."""

    status: ClassVar[int] = 500


class BadRequest(EngineError):
    """The request is at fault."""

    status = 400


class NotFound(EngineError):
    """There is no such collection or point."""

    status = 404


class TimedOut(EngineError):
    """The request waited longer than its `timeout`."""

    status = 408


class Conflict(EngineError):
    """There is one already."""

    status = 409


class TooLarge(EngineError):
    """The body is larger than a Qdrant server takes."""

    status = 413


class TooMany(EngineError):
    """More work is waiting than the engine holds: ask again."""

    status = 429


class Stopping(EngineError):
    """The engine is shutting down."""

    status = 503
