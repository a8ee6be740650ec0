"""A generated benchmark of bars that lie, stand or lean, and a tower that has learned nothing."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from evaluation.benchmark import LABELS_NAME, LabelledImage
from training.towers.mobilenet import MobileNetV2

KINDS = ("leaning", "lying", "standing")
SIDE = 64


def bars(kind: str, random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    along = {"leaning": (rows + columns) / 2**0.5, "lying": rows, "standing": columns}[kind]
    wave = 0.5 + 0.35 * np.sin(along * 2 * np.pi / 12 + random.uniform(0, 2 * np.pi))
    noisy = wave + random.normal(0, 0.12, wave.shape)
    return np.asarray(np.clip(noisy * 255, 0, 255), dtype=np.uint8)


def write_benchmark(folder: Path, images: int, *, finding: str | None = None, dataset: str = "bars") -> Path:
    """A folder of `images` pictures, one a subject; `finding` replaces the kind in every row."""
    random = np.random.default_rng(5)
    folder.mkdir(parents=True)
    with (folder / LABELS_NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(LabelledImage)], restval="")
        table.writeheader()
        for number in range(images):
            kind = KINDS[number % len(KINDS)]
            name = f"{number}.png"
            assert cv2.imwrite(str(folder / name), bars(kind, random))
            row = {"image": name, "dataset": dataset, "subject": f"s{number}", "modality": "US"}
            table.writerow({**row, "finding": kind if finding is None else finding})
    return folder


def write_weights(path: Path) -> Path:
    """Drawn weights; only the batch statistics are those of noise, so that signals keep their size."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    tower = MobileNetV2()
    for part in tower.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        tower.train()(torch.randn(16, 3, SIDE, SIDE))
    save_file({name: value.contiguous() for name, value in tower.state_dict().items()}, path)
    return path
