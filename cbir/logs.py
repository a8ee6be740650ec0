"""What is logged, and what never is."""

from __future__ import annotations

import logging
import sys
import warnings

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

# These libraries quote values of the files they read, patient names among them.
QUOTING = ("pydicom", "pynetdicom", "highdicom", "pylibjpeg")
CHATTY = ("httpx", "httpcore", "uvicorn.access", "alembic", "aiohttp", "asyncio")


def configure_logging(level: str) -> None:
    """Send `event key=value` lines to standard error; silence what might quote patient data.

    Args:
        level: DEBUG, INFO, WARNING or ERROR, for our own lines.
    """
    logging.basicConfig(level=level, format=FORMAT, stream=sys.stderr, force=True)
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in QUOTING:
        warnings.filterwarnings("ignore", module=name)
