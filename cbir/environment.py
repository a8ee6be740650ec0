"""The settings of a command, read from the environment, with the log set up as they say."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from cbir.logs import configure_logging
from cbir.settings import Settings, unknown_options
from indexer.errors import Rejected

logger = logging.getLogger(__name__)


def settings_of_environment(folder: Path | None = None, log_level: str = "WARNING") -> Settings:
    """The settings of the environment; `log_level` holds unless they name one.

    Raises:
        Rejected: one of them is wrong; the text says which.
    """
    try:
        settings = Settings() if folder is None else Settings(folder=folder)
    except ValidationError as wrong:
        faults = "; ".join(f"CBIR_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in wrong.errors())
        raise Rejected(f"The settings are not right. {faults}") from None
    configure_logging(settings.log_level or log_level)
    for name in unknown_options(os.environ):
        logger.warning("unknown_option name=%s hint=%s", name, "see `cbir configuration`")
    return settings
