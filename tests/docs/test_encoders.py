"""The page of encoders names commands and options that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from cbir.command import app
from cbir.export import PrecisionName

PAGE = Path(__file__).parent.parent.parent / "docs" / "encoders.md"


def test_every_option_on_the_page_is_one_of_the_command() -> None:
    known = {
        option
        for path in (["export"], ["search"], ["train", "image-text"])
        for parameter in _command(path).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE.read_text()))
    assert len(named) > 5
    assert named - known == set()


def _command(path: list[str]) -> Any:  # noqa: ANN401 - click's commands differ by whether they are groups
    found: Any = typer.main.get_command(app)
    for name in path:
        found = found.get_command(None, name)
    return found


def test_every_documented_command_is_one_of_cbir() -> None:
    command = typer.main.get_command(app)
    named = set(re.findall(r"cbir ([a-z]+)", PAGE.read_text()))
    assert "export" in named
    assert named <= set(command.commands)  # type: ignore[attr-defined]


def test_every_precision_on_the_page_is_one_of_the_command() -> None:
    named = set(re.findall(r"--precision ([a-z0-9]+)", PAGE.read_text()))
    assert named == {"fp16", "int8"}
    assert named < {precision.value for precision in PrecisionName}


def test_every_fault_on_the_page_is_a_text_of_the_code() -> None:
    root = PAGE.parent.parent
    code = " ".join(path.read_text() for path in sorted((root / "training" / "export").glob("*.py")))
    # Sentences are split over lines, and names of files are filled in.
    said = re.sub(r'"\s*\n\s*f?"', "", code).replace("{_PREPROCESSORS[0]}", "preprocessor_config.json")
    texts = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text().split("## What can go wrong")[1], re.MULTILINE)
    assert len(texts) == 6
    assert [text for text in texts if text not in said.replace("{precision}", "int8")] == []
