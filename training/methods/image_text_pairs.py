"""Images with what was written about them, and which of it a step sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.benchmark import Benchmark, LabelledImage
from evaluation.folds import numbered
from inference.sentences import sentences_of
from training.errors import TrainingError
from training.losses.info_nce import shared_targets
from training.methods.image_text_configuration import ImageTextConfiguration, TextField


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step's pairs: indices into the benchmark, a text each, and which other texts are right too.

    Attributes:
        index: (n,).
        text: (n,).
        target: float32 (n, n), rows sum to 1.
    """

    index: NDArray[np.intp]
    text: tuple[str, ...]
    target: Tensor


@dataclass(frozen=True, slots=True)
class ImageTextPairs:
    """The images of a benchmark that have a text, by their place in it."""

    index: NDArray[np.intp]
    texts: tuple[tuple[tuple[str, ...], ...], ...]
    caption: NDArray[np.intp]
    labels: NDArray[np.intp]
    label_share: float

    @classmethod
    def of(cls, benchmark: Benchmark, wanted: ImageTextConfiguration) -> ImageTextPairs:
        """The pairs that the configuration's text fields give.

        Raises:
            TrainingError: fewer than two images have such a text.
        """
        texts = [
            tuple(t for t in (_texts(image, f) for f in wanted.text_fields) if t)
            for image in benchmark.images
        ]
        index = np.array([i for i, own in enumerate(texts) if own], dtype=np.intp)
        if len(index) < 2:
            raise TrainingError(
                f"{len(index)} images have a text in {', '.join(wanted.text_fields)}: name other text "
                "fields, or a benchmark with captions or reports."
            )
        images = [benchmark.images[i] for i in index]
        return cls(
            index=index,
            texts=tuple(texts[i] for i in index),
            caption=numbered([image.caption or image.report for image in images]),
            labels=numbered([_label(image, wanted) for image in images]),
            label_share=wanted.class_share if wanted.class_labels else 0.0,
        )

    def __len__(self) -> int:
        """How many images."""
        return len(self.index)

    def all_texts(self) -> tuple[str, ...]:
        """Every text once, sorted."""
        return tuple(sorted({text for own in self.texts for field in own for text in field}))

    def draw(self, seed: int, step: int, size: int) -> Drawn:
        """Different images, a text of each: a field of those it has, then a sentence of that field."""
        random = np.random.default_rng((seed, step))
        rows = random.choice(len(self), min(size, len(self)), replace=False)
        chosen = []
        for row in rows:
            field = self.texts[row][random.integers(len(self.texts[row]))]
            chosen.append(field[random.integers(len(field))])
        groups = [torch.from_numpy(self.caption[rows]), torch.from_numpy(self.labels[rows])]
        target = shared_targets(groups, (1.0 - self.label_share, self.label_share))
        return Drawn(self.index[rows], tuple(chosen), target)


def _texts(image: LabelledImage, field: TextField) -> tuple[str, ...]:
    name, _, cut = field.partition("_")
    text = str(getattr(image, name)).strip()
    return tuple(_sentences(text)) if cut else (text,) if text else ()


def _sentences(text: str) -> Iterator[str]:
    for sentence in sentences_of(text):
        yield sentence.text


def _label(image: LabelledImage, wanted: ImageTextConfiguration) -> str:
    """Its labels; what is not known shares nothing with others."""
    return (wanted.class_labels and image.label("+".join(wanted.class_labels))) or image.image
