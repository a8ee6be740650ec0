"""The table of every option, written from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import SecretStr

from cbir.settings import Settings


def options() -> list[tuple[str, str, str]]:
    """Environment variable, default and meaning of every option, in the order of the settings."""
    return [
        (f"CBIR_{name.upper()}", _default(info.default), info.description or "")
        for name, info in Settings.model_fields.items()
    ]


def markdown_table() -> str:
    """The options as a Markdown table."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in options()]
    return "\n".join(["| Variable | Default | Meaning |", "|---|---|---|", *rows])


def _default(value: object) -> str:
    if isinstance(value, SecretStr) or value is None or value in ("", ()):
        return ""
    if isinstance(value, Path):
        return f"`{value.as_posix()}`"
    return f"`{value}`" if not get_args(value) else ""
