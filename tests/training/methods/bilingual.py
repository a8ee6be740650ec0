"""Drawings with captions in English and in French, and small towers that know the words of both."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluation.benchmark import LABELS_NAME
from tests.training.methods.captioned import PLACES, SHAPES, caption_of, small, write_captioned
from tests.training.text_folder import write_text_folder

FRENCH_PLACES: Final[Mapping[str, str]] = {
    "upper left": "en haut à gauche",
    "upper right": "en haut à droite",
    "lower left": "en bas à gauche",
    "lower right": "en bas à droite",
}
FRENCH_SHAPES: Final[Mapping[str, str]] = {"disc": "disque", "bar": "trait"}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing that nothing was learned from."""

    path: Path
    place: str
    shape: str


def french_caption_of(place: str, shape: str) -> str:
    return f"Un {FRENCH_SHAPES[shape]} clair se trouve {FRENCH_PLACES[place]}."


def write_bilingual(folder: Path, each: int = 10, kept: int = 2) -> list[Drawing]:
    """A benchmark of drawings, captions in one of two languages; gives `kept` of each kind left out of it."""
    write_captioned(folder, each)
    labels = folder / LABELS_NAME
    with labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    learned, left_out = [], []
    for number, row in enumerate(rows):
        if number % each < kept:
            left_out.append(Drawing(folder / row["image"], row["finding"], row["body_part"]))
            continue
        if number % 2:
            row["caption"] = row["report"] = french_caption_of(row["finding"], row["body_part"])
        learned.append(row)
    with labels.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(learned)
    return left_out


def write_configuration(folder: Path, **changes: object) -> Path:
    """A configuration file of `cbir train image-text` with small towers."""
    configuration = small(folder, **changes)
    sentences = [
        caption(place, shape)
        for place in PLACES
        for shape in SHAPES
        for caption in (caption_of, french_caption_of)
    ]
    write_text_folder(folder / "text", sentences)
    path = folder / "configuration.json"
    path.write_text(configuration.model_dump_json())
    return path
