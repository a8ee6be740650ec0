"""A generated benchmark: an ellipse with a blob in one of four corners, drawn in several sequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from evaluation.benchmark import Benchmark, LabelledImage
from inference.preprocess import Pixels
from tests.fakes.benchmark import row, write_benchmark

SIDE = 64
TISSUE = {"FLAIR": 0.3, "T1": 0.5, "T1CE": 0.45}


def brains(
    folder: Path,
    patients: int = 8,
    sequences: Sequence[str] = ("FLAIR", "T1", "T1CE"),
    *,
    missing: Sequence[tuple[int, str]] = (),
    masks: bool = True,
) -> Benchmark:
    """Two slices of each patient, one lesion, in each sequence but those `missing`: (patient, sequence)."""
    rows: list[LabelledImage] = []
    pixels: list[Pixels] = []
    for patient in range(patients):
        rng = np.random.default_rng(patient)
        corner = (18 + 28 * (patient % 2), 20 + 24 * (patient // 2 % 2))
        for number in (1, 2):
            for sequence in sequences:
                if (patient, sequence) in missing:
                    continue
                name = f"{patient}-{number}-{sequence}"
                rows.append(
                    row(
                        f"{name}.png",
                        f"p{patient}",
                        view_or_sequence=sequence,
                        slice=str(number),
                        modality="MR",
                        mask=f"{name}-mask.png" if masks else "",
                    )
                )
                pixels.append(_brain(TISSUE[sequence], corner, 5 + number, rng))
    return write_benchmark(folder, rows, pixels)


def _brain(tissue: float, corner: tuple[int, int], radius: int, rng: np.random.Generator) -> Pixels:
    picture = np.zeros((SIDE, SIDE), dtype=np.float32)
    cv2.ellipse(picture, (32, 32), (24, 29), 0, 0, 360, tissue, -1)
    cv2.circle(picture, corner, radius, 0.95, -1)
    noise = rng.normal(0, 0.02, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 1), dtype=np.float32)
