"""Drawings with captions: where a bright shape lies, and which."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from transformers import ViTConfig, ViTModel

from evaluation.benchmark import LABELS_NAME, Benchmark, LabelledImage
from tests.training.text_folder import write_text_folder
from training.methods.image_text_configuration import ImageTextConfiguration

SIDE = 32
PLACES = {"upper left": (8, 8), "upper right": (8, 24), "lower left": (24, 8), "lower right": (24, 24)}
SHAPES = ("disc", "bar")


def caption_of(place: str, shape: str) -> str:
    return f"A bright {shape} lies at the {place}."


def write_captioned(folder: Path, each: int = 6, *, captions: bool = True) -> Benchmark:
    """Eight kinds of drawings, `each` of them, a case each drawing."""
    rng = np.random.default_rng(0)
    (folder / "drawn").mkdir(parents=True, exist_ok=True)
    columns = list(LabelledImage.__dataclass_fields__)
    rows: list[dict[str, str]] = []
    for place, (y, x) in PLACES.items():
        for shape in SHAPES:
            for _ in range(each):
                name = f"drawn/{len(rows):03}.png"
                canvas = np.zeros((SIDE, SIDE), np.uint8)
                y0, x0 = y + int(rng.integers(-2, 3)), x + int(rng.integers(-2, 3))
                if shape == "disc":
                    cv2.circle(canvas, (x0, y0), 5, 200, -1)
                else:
                    cv2.rectangle(canvas, (x0 - 7, y0 - 1), (x0 + 7, y0 + 1), 255, -1)
                noisy = np.clip(canvas + rng.normal(20, 5, canvas.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / name), noisy)
                caption = caption_of(place, shape) if captions else ""
                rows.append(
                    dict.fromkeys(columns, "")
                    | {"image": name, "dataset": "drawn", "subject": f"case {len(rows)}", "modality": "OT"}
                    | {"body_part": shape, "finding": place, "caption": caption, "report": caption}
                )
    with (folder / LABELS_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return Benchmark.open(folder)


def write_small_towers(folder: Path) -> tuple[Path, Path]:
    """Folders of a small vision transformer and of a small BERT."""
    vision = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=SIDE,
        patch_size=8,
    )
    ViTModel(vision, add_pooling_layer=False).save_pretrained(folder / "vision")
    sentences = [caption_of(place, shape) for place in PLACES for shape in SHAPES]
    return folder / "vision", write_text_folder(folder / "text", sentences)


def small(folder: Path, **changes: object) -> ImageTextConfiguration:
    """A configuration with small towers that learns in seconds."""
    vision, text = (
        write_small_towers(folder)
        if not (folder / "text").exists()
        else (
            folder / "vision",
            folder / "text",
        )
    )
    given: dict[str, object] = {
        "settings": {"threads": 1, "bfloat16": False, "save_every": 5},
        "datasets": ("drawn",),
        "initialisation": "random",
        "trunks": ("huggingface",),
        "image_folder": vision,
        "text_encoder": str(text),
        "tune_image_tower": "all",
        "tune_text_tower": True,
        "augment": False,
        "dimension": 16,
        "side": SIDE,
        "steps": 80,
        "batch_size": 32,
        "tower_rate": 2e-3,
        "head_rate": 2e-3,
        "warm_up_steps": 5,
    }
    return ImageTextConfiguration.model_validate(given | changes)
