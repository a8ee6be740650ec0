"""What the orthancteam/orthanc image makes of a configuration file and of its environment.

Source:
    https://orthanc.uclouvain.be/book/users/docker-orthancteam.html: variables of the environment are put
    into the files of /etc/orthanc, comments are dropped, and then each ORTHANC__SECTION__SETTING takes the
    place of what a file says; a value that is JSON is taken as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Configuration = dict[str, Any]

# Names that do not follow the rule of a capital letter for each word.
_IRREGULAR = {"POSTGRESQL": "PostgreSQL"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^\\"])*"', re.DOTALL)


def configuration(file: str, environment: Mapping[str, str]) -> Configuration:
    """The configuration that Orthanc is started with, but for the image's defaults."""
    text = _VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", file)
    read: Configuration = json.loads(_COMMENT_OR_TEXT.sub(_without_comment, text))
    for name, value in environment.items():
        if name.startswith("ORTHANC__"):
            _merge(read, _nested(name.removeprefix("ORTHANC__").split("__"), _value(value)))
    return read


def _without_comment(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else " "


def _nested(words: list[str], value: object) -> Configuration:
    name = _IRREGULAR.get(words[0]) or "".join(word.capitalize() for word in words[0].split("_"))
    return {name: _nested(words[1:], value) if words[1:] else value}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _merge(into: Configuration, more: Configuration) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
