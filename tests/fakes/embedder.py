"""An embedder whose vectors are the plainest statistics of the pixels: real answers, no encoder."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
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
    pooled,
)
from indexer.errors import NotConfigured, NotFound, Rejected, Unsupported
from indexer.ports import TextEmbedding, Window
from indexer.search.match_maps import match_maps
from inference.embedding import Embedded, EmbeddedFiles
from inference.outcome import SkippedFrame

Pixels = NDArray[np.uint16]


class FakeEmbedder:
    """Does what `inference.app.Embedder` says. While `gate` is clear, nothing is answered."""

    version = EncoderVersion("statistics", "5" * 64, 3)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.in_hand = threading.Semaphore(0)
        self.seen: list[Path] = []
        self.reads = True

    def embed_groups(self, paths: Sequence[Path], frame_number: int | None = None) -> EmbeddedFiles:
        self.seen.extend(paths)
        self.in_hand.release()
        self.gate.wait(120)
        skipped: list[SkippedFrame] = []
        series: dict[str, list[Dataset]] = defaultdict(list)
        for path in paths:
            try:
                dataset = dcmread(path)
            except InvalidDicomError:
                skipped.append(SkippedFrame("", "not_dicom"))
                continue
            series[dataset.SeriesInstanceUID].append(dataset)
        if not series:
            raise Rejected("None of the files is DICOM: send DICOM files.", reason="not_dicom")
        found = tuple(Embedded(_embedded(group, frame_number, self.version)) for group in series.values())
        return EmbeddedFiles(series=found, skipped=tuple(skipped))

    def embed_text(self, text: str) -> TextEmbedding:
        self.in_hand.release()
        self.gate.wait(120)
        if not self.reads:
            raise NotConfigured("No encoder that is searched reads text.")
        row = np.asarray([1.0, float(len(text)), float(text.count("e"))], np.float32)
        return TextEmbedding(self.version, row / np.linalg.norm(row))

    def embed_reports(self, paths: Sequence[Path]) -> TextEmbedding:
        self.seen.extend(paths)
        reports = [dcmread(path) for path in paths]
        text = self.embed_text(" ".join(str(report.get("TextValue", "")) for report in reports))
        studies = tuple(sorted({str(report.StudyInstanceUID) for report in reports}))
        return replace(text, studies=studies, patients=("hashed",), reports=len(reports))

    def render_file(
        self, path: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        pixels = _frames(dcmread(path, force=True), frame_number)[0]
        if window is not None:
            pixels = np.clip(((pixels - window.center) / window.width + 0.5) * 255, 0, 255)
        side = min(longest_side, max(pixels.shape))
        buffer = BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).resize((side, side)).save(buffer, "PNG")
        return buffer.getvalue()

    def feature_maps(self, path: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        return tuple(_seen(_frames(dcmread(path, force=True), number)[0]) for number in frame_numbers)

    def occlusion_maps(
        self, paths: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        one, other = (self.feature_maps(p, [n])[0] for p, n in zip(paths, frame_numbers, strict=True))
        return match_maps(one, other)


def _seen(pixels: Pixels) -> FeatureMap:
    """A cell a quarter of the frame: its mean, its largest value and 1."""
    quarters = [np.array_split(half, 2, 1) for half in np.array_split(pixels, 2)]
    cells = [[(1.0, float(q.mean()), float(q.max())) for q in row] for row in quarters]
    return FeatureMap(FakeEmbedder.version, np.asarray(cells, np.float32), Region(-0.5, 0, 2, 1))


def _embedded(group: Sequence[Dataset], frame_number: int | None, version: EncoderVersion) -> SeriesEmbedding:
    frames: list[FrameReference] = []
    vectors: list[tuple[float, float, float]] = []
    for dataset in group:
        for index, pixels in enumerate(_frames(dataset, frame_number)):
            number = frame_number or index + 1
            frames.append(FrameReference(dataset.SOPClassUID, dataset.SOPInstanceUID, number))
            vectors.append((1.0, float(pixels.mean()), float(pixels.max())))
    rows = np.asarray(vectors, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    first = group[0]
    study, series = str(first.StudyInstanceUID), str(first.SeriesInstanceUID)
    return SeriesEmbedding(
        reference=SeriesReference(study, series, f"{study}/{series}"),
        attributes=SeriesAttributes(modality=str(first.Modality)),
        encoder=version,
        frames=tuple(frames),
        vector=pooled(rows),
        frame_vectors=rows,
    )


def _frames(dataset: Dataset, frame_number: int | None) -> list[Pixels]:
    if "PixelData" not in dataset:
        raise Unsupported("The instance has no pixels.")
    pixels = dataset.pixel_array
    frames = list(pixels) if int(dataset.get("NumberOfFrames", 1)) > 1 else [pixels]
    if frame_number is None:
        return frames
    if frame_number > len(frames):
        raise NotFound(f"There is no frame {frame_number}: the instance has {len(frames)}.")
    return [frames[frame_number - 1]]
