"""An encoder that looks at the mean grey of 4 x 4 tiles: small, quick, and the same every time."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from indexer.domain import (
    EncoderVersion,
    FeatureMap,
    FrameReference,
    MatchMap,
    Region,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import EncoderUnavailable, NotConfigured, NotFound, Rejected
from indexer.patients import Pseudonyms
from indexer.ports import TextEmbedding, Window
from indexer.search.match_maps import match_maps

TILES = 4
_ACROSS, _DOWN = np.meshgrid(np.linspace(0, 1, TILES), np.linspace(0, 1, TILES))
BRIGHT = {"left": 1 - _ACROSS, "right": _ACROSS, "top": 1 - _DOWN, "bottom": _DOWN}
"""What is bright in a frame that a word names, tile by tile."""
VERSION = EncoderVersion(name="tiles", sha256="0123456789abcdef" * 4, dimension=TILES * TILES)


class FakeEncoder:
    """Implements Encoder; set `unavailable`, or `reads` to False, to see what a use case does then."""

    def __init__(self) -> None:
        self.unavailable = False
        self.reads = True
        self.rendered = 0
        self._pseudonyms = Pseudonyms(b"k" * 32)

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        self._answer()
        by_series: dict[str, list[Dataset]] = defaultdict(list)
        for path in instances:
            dataset = _read(path)
            if "PixelData" in dataset:
                by_series[str(dataset.SeriesInstanceUID)].append(dataset)
        if not by_series:
            raise Rejected("None of the instances has a frame.", reason="no_pixels")
        return tuple(self._embedded(datasets, frame_number) for datasets in by_series.values())

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        self._answer()
        frames = _frames(_read(instance))
        if frame_number > len(frames):
            raise NotFound(f"There is no frame {frame_number}; there are {len(frames)}.")
        self.rendered += 1
        seen = window or Window(0.5, 1.0)
        display = np.clip((frames[frame_number - 1] - seen.center) / seen.width + 0.5, 0, 1)
        grey = Image.fromarray(np.rint(display * 255).astype(np.uint8))
        grey.thumbnail((longest_side, longest_side))
        png, texts = io.BytesIO(), PngInfo()
        texts.add_text("WindowCenter", f"{seen.center:.6g}")
        texts.add_text("WindowWidth", f"{seen.width:.6g}")
        grey.save(png, "PNG", pnginfo=texts)
        return png.getvalue()

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """A cell a tile, and a dimension a tile: their mean is the frame's vector."""
        self._answer()
        frames = _frames(_read(instance))
        if max(frame_numbers) > len(frames):
            raise NotFound(f"There is no frame {max(frame_numbers)}; there are {len(frames)}.")
        return tuple(_map(frames[number - 1]) for number in frame_numbers)

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """A tile covered with the frame's mean adds nothing any more: here it says what the cells say."""
        one, other = (
            self.feature_maps(path, [number])[0]
            for path, number in zip(instances, frame_numbers, strict=True)
        )
        return match_maps(one, other)

    def embed_text(self, text: str) -> TextEmbedding:
        """What is bright: words for the tiles ("left", "top" ...); others are unknown."""
        self._answer()
        if not self.reads:
            raise NotConfigured("No encoder that is searched reads text.")
        bright = [BRIGHT[word] for word in text.lower().split() if word in BRIGHT]
        if not bright:
            raise Rejected("tiles knows none of these words.", reason="unknown_words")
        return TextEmbedding(VERSION, _vector(np.prod(bright, axis=0)))

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """What is bright by the words of all of them; one without words is left out."""
        self._answer()
        read = [dataset for dataset in map(_read, reports) if _words(dataset)]
        if not read:
            raise Rejected("None of the reports holds a text.", reason="empty_report")
        text = self.embed_text(" ".join(map(_words, read)))
        owners = {(str(one.get("IssuerOfPatientID", "")), str(one.get("PatientID", ""))) for one in read}
        patients = {self._pseudonyms.of(*owner) for owner in owners}
        return replace(
            text,
            studies=tuple(sorted({str(one.StudyInstanceUID) for one in read})),
            patients=tuple(sorted(one for one in patients if one)),
            reports=len(read),
        )

    def _answer(self) -> None:
        if self.unavailable:
            raise EncoderUnavailable("The encoder is switched off by the test.")

    def _embedded(self, datasets: list[Dataset], frame_number: int | None) -> SeriesEmbedding:
        datasets.sort(key=lambda dataset: int(dataset.get("InstanceNumber", 0) or 0))
        frames: list[FrameReference] = []
        rows: list[Vector] = []
        for dataset in datasets:
            for index, frame in enumerate(_frames(dataset)):
                if frame_number in (None, index + 1):
                    frames.append(FrameReference(dataset.SOPClassUID, dataset.SOPInstanceUID, index + 1))
                    rows.append(_vector(frame))
        if not frames:
            raise NotFound(f"There is no frame {frame_number}.")
        first, frame_vectors = datasets[0], np.stack(rows)
        day = str(first.get("StudyDate", ""))
        return SeriesEmbedding(
            reference=SeriesReference(first.StudyInstanceUID, first.SeriesInstanceUID, "example"),
            attributes=SeriesAttributes(
                modality=str(first.get("Modality", "")),
                body_part_examined=str(first.get("BodyPartExamined", "")),
                study_date=pydicom.valuerep.DA(day) if day else None,
                patient=self._pseudonyms.of(
                    str(first.get("IssuerOfPatientID", "")), str(first.get("PatientID", ""))
                ),
            ),
            encoder=VERSION,
            frames=tuple(frames),
            vector=pooled(frame_vectors),
            frame_vectors=frame_vectors,
        )


def _read(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise Rejected("An instance is no DICOM.", reason="unreadable") from error


def _words(report: Dataset) -> str:
    """All the TEXT items of a Structured Report, and the text of an encapsulated document."""
    items = [item for item in report.iterall() if item.keyword == "TextValue"]
    document = bytes(report.get("EncapsulatedDocument", b"")).decode("utf-8", "ignore").rstrip("\0")
    return " ".join([*(str(item.value) for item in items), document]).strip()


def _frames(dataset: Dataset) -> NDArray[np.float64]:
    """float64 (frames, rows, columns) in [0, 1]."""
    stored = np.frombuffer(dataset.PixelData, dtype="u1" if dataset.BitsAllocated == 8 else "<u2")
    shape = (int(dataset.get("NumberOfFrames", 1) or 1), dataset.Rows, dataset.Columns)
    frames: NDArray[np.float64] = stored[: int(np.prod(shape))].reshape(shape) / (2**dataset.BitsStored - 1)
    return frames


def _map(frame: NDArray[np.float64]) -> FeatureMap:
    cells = np.diag(_vector(frame)).reshape(TILES, TILES, TILES * TILES)
    return FeatureMap(VERSION, np.asarray(cells, dtype=np.float32), Region(0, 0, 1, 1))


def _vector(frame: NDArray[np.float64]) -> Vector:
    tiles = [tile.mean() for rows in np.array_split(frame, TILES) for tile in np.array_split(rows, TILES, 1)]
    centred = np.array(tiles) - np.mean(tiles) + 1e-6
    return np.asarray(centred / np.linalg.norm(centred), dtype=np.float32)
