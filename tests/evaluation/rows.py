"""Benchmarks written for a test."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import LABELS_NAME, LabelledImage

COLUMNS = tuple(field.name for field in fields(LabelledImage))


def write_rows(folder: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LABELS_NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return folder


def write_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def row(number: int, **given: str) -> dict[str, str]:
    return {"image": f"{number}.png", "dataset": "set", "subject": f"s{number}", **given}


def write_noise(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Each image is a noise of its own."""
    random = np.random.default_rng(0)
    for given in rows:
        write_image(folder / given["image"], random.integers(0, 256, (40, 40), dtype=np.uint8))
    return write_rows(folder, rows)
