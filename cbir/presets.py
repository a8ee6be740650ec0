"""Further AE titles of ours, each with its own way to ask, read from one option."""

from __future__ import annotations

import re
from typing import Final, get_origin
from unicodedata import category
from urllib.parse import parse_qs

from pydantic import ValidationError

from indexer.ae.preset import Preset
from indexer.destinations import is_ae_title
from indexer.vocabulary import FiltersBody, Fraction, Limit, Text

FORM: Final = "AE_TITLE?name=value&name=value, as in CBIR_CT?modality=CT&study_date_from=2020-01-01"

_SEMICOLON: Final = re.compile(r";\s*\w+=")


class PresetOptions(FiltersBody):
    """The query of a preset: names, bounds and errors are those of POST /api/search/upload.

    Without a `limit`, as many matches as other answers have.
    """

    limit: Limit | None = None
    diversity: Fraction = 0.0
    text: Text = ""
    text_weight: Fraction = 0.5
    reads_reports: bool = False


def parse_presets(text: str) -> tuple[Preset, ...]:
    """Read presets with white space between them.

    Raises:
        ValueError: one is wrong, or two have the same title; the sentence says which, and what to write.
    """
    presets = tuple(_preset(entry) for entry in text.split())
    titles = [preset.ae_title for preset in presets]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f"{title} stands twice: give each preset an AE title of its own.")
    return presets


def _preset(entry: str) -> Preset:
    title, _, query = entry.partition("?")
    if not is_ae_title(title):
        raise ValueError(
            f"{title!r} is no AE title: write {FORM}, with 1 to 16 characters of ASCII and no backslash."
        )
    if not query:
        raise ValueError(f"{title} does not say how it asks: write {FORM}, a space as +.")
    try:
        options = PresetOptions.model_validate(_values(title, query))
    except ValidationError as wrong:
        faults = " and ".join(_fault(error["loc"], error["msg"]) for error in wrong.errors())
        raise ValueError(f"{title} cannot ask so: {faults}; correct it, or leave it out.") from None
    return Preset(
        ae_title=title,
        limit=options.limit or 0,
        filters=options.to_domain(),
        diversity=options.diversity,
        text=options.text,
        text_weight=options.text_weight,
        reads_reports=options.reads_reports,
    )


def _values(title: str, query: str) -> dict[str, object]:
    """Lists as they are; one value of everything else."""
    try:
        named = parse_qs(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise ValueError(f"What {title} asks cannot be read: write {FORM}, a space as +.") from None
    if _SEMICOLON.search(query):
        raise ValueError(f"{title} has a ; before a name: write & between values, and %3B for a ; in a text.")
    several = {
        name for name, field in PresetOptions.model_fields.items() if get_origin(field.annotation) is list
    }
    for name in filter(PresetOptions.model_fields.get, named):
        if name not in several and len(named[name]) > 1:
            raise ValueError(f"{title} has two values of {name}: write one.")
        if any(category(letter) == "Cc" for value in named[name] for letter in value):
            raise ValueError(f"{title} has a control character in {name}: leave it out.")
    return {name: values if name in several else values[0] for name, values in named.items()}


def _fault(location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(map(str, location))
    return f"{place}: {message}" if place else message
