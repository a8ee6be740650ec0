"""A configuration file of a method, as it is given on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from indexer.errors import Rejected


def stored_configuration(file: Path | None, part: str) -> dict[str, Any]:
    """The values of a JSON object; empty without a file.

    Args:
        file: UTF-8 JSON.
        part: the name of the settings of the run inside it; an object too, where it is given.

    Raises:
        Rejected: it does not hold such an object.
    """
    if file is None:
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Rejected(f"{file} does not hold a JSON object: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get(part, {}), dict):
        raise Rejected(f"{file} must hold a JSON object, and `{part}` in it must be one too.")
    return values
