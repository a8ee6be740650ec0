"""What is logged, and what never is."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from types import TracebackType

logger = logging.getLogger(__name__)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

# These libraries quote values of the files they read, patient names among them.
QUOTING = ("pydicom", "pynetdicom", "highdicom", "pylibjpeg")
CHATTY = ("httpx", "httpcore", "uvicorn.access", "alembic", "aiohttp", "asyncio")


class Discreet(logging.Formatter):
    """Says where something failed and with what kind of error, never its text: it may quote a file."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the base class's name
        """The places, innermost last, and the kinds of the errors that led to each other."""
        kind, error, trace = ei
        kinds = [type(one).__name__ for one in _causes(error)] or [getattr(kind, "__name__", "?")]
        return "".join(traceback.format_tb(trace)) + " < ".join(kinds)


def configure_logging(level: str) -> None:
    """Send `event key=value` lines to standard error; silence what might quote patient data.

    Args:
        level: DEBUG, INFO, WARNING or ERROR, for our own lines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet(FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    threading.excepthook = _log_end_of_thread
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in QUOTING:
        warnings.filterwarnings("ignore", module=name)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    """A thread that dies of an error says so through us; Python would print the error's text."""
    name = ended.thread.name if ended.thread else "?"
    error = ended.exc_value or ended.exc_type()
    logger.error("thread_died name=%s", name, exc_info=error)
