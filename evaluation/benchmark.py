"""A benchmark: a folder of labelled images, checked when it is opened."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from evaluation.errors import BenchmarkError
from inference.preprocess import Pixels

LABELS_NAME: Final = "labels.csv"
PERMISSIVE: Final = "permissive"
_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One row of labels.csv; a label that is not known is empty.

    Attributes:
        image: path of the JPEG or PNG inside the benchmark's folder; names the row.
        dataset: the data set it comes from.
        series: images of one series share it.
        subject: images of one subject share it; never a neighbour of its own in a score.
        subject_kind: how the subject is known: an id, or an approximation from near-duplicates.
        modality: DICOM modality.
        body_part: in words.
        view_or_sequence: projection of a radiograph, or MR sequence.
        plane: of a cross-section.
        slice: place in its series, as the source tells it.
        finding: in words.
        caption: of this image.
        report: of its case.
        history: of its case.
        mask: path of a binary mask, in the benchmark's folder.
        licence_class: of the image and its labels; see `is_permissive`.
    """

    image: str
    dataset: str
    series: str
    subject: str
    subject_kind: str
    modality: str
    body_part: str
    view_or_sequence: str
    plane: str
    slice: str
    finding: str
    caption: str
    report: str
    history: str
    mask: str
    licence_class: str

    @property
    def is_permissive(self) -> bool:
        """Whether an encoder trained on it may be shipped."""
        return self.licence_class.startswith(PERMISSIVE)

    def label(self, name: str) -> str:
        """A label, or several joined: `modality+body_part`; empty where one of them is.

        Raises:
            BenchmarkError: there is no such column.
        """
        unknown = [part for part in name.split("+") if part not in _COLUMNS]
        if unknown:
            raise BenchmarkError(f"There is no column {unknown[0]!r}: take one of {', '.join(_COLUMNS)}.")
        parts = [str(getattr(self, part)) for part in name.split("+")]
        return "|".join(parts) if all(parts) else ""


_COLUMNS: Final = tuple(field.name for field in fields(LabelledImage))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Labelled images of one folder, in the order of labels.csv."""

    folder: Path
    images: tuple[LabelledImage, ...]

    @classmethod
    def open(cls, folder: Path) -> Benchmark:
        """Read labels.csv and see that every image it names is there.

        Raises:
            BenchmarkError: there is no table, it cannot be read or is empty, a column or an image is missing,
                an image is named twice or has no subject.
        """
        path = folder / LABELS_NAME
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark in front
                images = tuple(_rows(csv.DictReader(file), path))
        except FileNotFoundError as error:
            raise BenchmarkError(f"{path} is missing: a benchmark is a folder with that table.") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise BenchmarkError(f"{path} is not a table in UTF-8: {error}") from error
        if not images:
            raise BenchmarkError(f"{path} names no image.")
        _refuse_missing(folder, images)
        return cls(folder, images)

    def __len__(self) -> int:
        """How many images."""
        return len(self.images)

    def where(self, wanted: Callable[[LabelledImage], bool]) -> Benchmark:
        """The images that are wanted. Raises BenchmarkError when there is none."""
        return self._of([image for image in self.images if wanted(image)])

    def dataset(self, *names: str) -> Benchmark:
        """The images of these data sets. Raises BenchmarkError when there is no data set of such a name."""
        known = {image.dataset for image in self.images}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise BenchmarkError(
                f"{self.folder} has no data set {', '.join(unknown)}; it has {', '.join(sorted(known))}."
            )
        return self.where(lambda image: image.dataset in names)

    def at(self, indices: Sequence[int]) -> Benchmark:
        """The images at these places. Raises BenchmarkError when there is none."""
        return self._of([self.images[index] for index in indices])

    def pixels(self, index: int) -> Pixels:
        """One image as a rendered frame: float32 in [0, 1], (rows, columns) or (rows, columns, 3) RGB."""
        return _read(self.folder / self.images[index].image)

    def mask(self, index: int) -> Pixels | None:
        """The mask of one image, float32 of 0 and 1, (rows, columns); None when it has none."""
        name = self.images[index].mask
        if not name:
            return None
        pixels = _read(self.folder / name)
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        return np.asarray(grey > 0.5, dtype=np.float32)

    def _of(self, images: Sequence[LabelledImage]) -> Benchmark:
        if not images:
            raise BenchmarkError(f"Nothing is left of {self.folder / LABELS_NAME}: no image is of that kind.")
        return replace(self, images=tuple(images))


def _rows(table: csv.DictReader[str], path: Path) -> Iterator[LabelledImage]:
    missing = [column for column in _COLUMNS if column not in (table.fieldnames or ())]
    if missing:
        raise BenchmarkError(f"{path} lacks the columns {', '.join(missing)}.")
    seen: set[str] = set()
    for line, row in enumerate(table, start=2):
        image = LabelledImage(**{column: row[column] or "" for column in _COLUMNS})
        if not image.image or not image.subject or not image.dataset:
            raise BenchmarkError(f"{path}, line {line}: image, dataset and subject must be given.")
        if image.image in seen:
            raise BenchmarkError(f"{path}, line {line}: {image.image} is named twice.")
        seen.add(image.image)
        yield image


def _refuse_missing(folder: Path, images: Sequence[LabelledImage]) -> None:
    wanted = [name for image in images for name in (image.image, image.mask) if name]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise BenchmarkError(f"{len(missing)} files named in {LABELS_NAME} are missing, first {missing[0]}.")


def _read(path: Path) -> Pixels:
    decoded = cv2.imread(str(path), cv2.IMREAD_ANYCOLOR)
    if decoded is None:
        raise BenchmarkError(f"{path} is not an image that can be read.")
    if decoded.ndim == 3:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return np.asarray(decoded, dtype=np.float32) / np.float32(_WHITE)
