"""A benchmark of a few made images on disk: shapes of two kinds, so that an encoder can tell them apart."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np

from evaluation.benchmark import Benchmark, LabelledImage
from inference.preprocess import Pixels

SIDE = 48


def row(name: str, subject: str, **labels: str) -> LabelledImage:
    """A row of labels.csv; what is not given is empty, a data set is `made`."""
    empty = {field.name: "" for field in fields(LabelledImage)}
    given = {"image": name, "dataset": "made", "series": name, "subject": subject, "subject_kind": "patient"}
    return LabelledImage(**(empty | given | {"licence_class": "permissive"} | labels))


def write_benchmark(folder: Path, rows: Sequence[LabelledImage], pixels: Sequence[Pixels]) -> Benchmark:
    """Write the images, their masks (what is bright) and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    for image, picture in zip(rows, pixels, strict=True):
        cv2.imwrite(str(folder / image.image), np.rint(picture * 255).astype(np.uint8))
        if image.mask:
            cv2.imwrite(str(folder / image.mask), np.where(picture > 0.7, 255, 0).astype(np.uint8))
    names = [field.name for field in fields(LabelledImage)]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows({name: getattr(image, name) for name in names} for image in rows)
    return Benchmark.open(folder)


def shape(kind: str, seed: int) -> Pixels:
    """A bright square or cross, at a place that the seed says, in noise."""
    rng = np.random.default_rng(seed)
    picture = 0.1 + 0.1 * rng.random((SIDE, SIDE), dtype=np.float32)
    y, x = rng.integers(14, SIDE - 14, 2)
    if kind == "square":
        picture[y - 8 : y + 8, x - 8 : x + 8] = 0.9
    else:
        picture[y - 2 : y + 2, x - 12 : x + 12] = 0.9
        picture[y - 12 : y + 12, x - 2 : x + 2] = 0.9
    return picture


def shapes(folder: Path, subjects: int = 12) -> Benchmark:
    """Two sequences of a square or a cross for each subject, with masks and captions."""
    rows, pixels = [], []
    for number in range(subjects):
        kind = ("square", "cross")[number % 2]
        for sequence in ("T1", "T2"):
            rows.append(
                row(
                    f"{number:02d}-{sequence}.png",
                    f"s{number:02d}",
                    finding=kind,
                    modality="MR",
                    body_part="brain",
                    view_or_sequence=sequence,
                    caption=f"a {kind}",
                    mask=f"{number:02d}-{sequence}-mask.png",
                )
            )
            picture = shape(kind, number)
            pixels.append(picture if sequence == "T1" else np.clip(picture * 1.05, 0, 1))
    return write_benchmark(folder, rows, pixels)
