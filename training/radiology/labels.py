"""What the default encoder learns of each image: several labels at once, each known for some data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.benchmark import Benchmark, LabelledImage

UNKNOWN: Final = -1
SHARES: Final = {
    "brain_tumor_mr": 0.36,
    "pneumonia_cxr": 0.24,
    "busi_breast_us": 0.14,
    "mednist_modality": 0.20,
    "openms_multiseq_mr": 0.03,
    "covid_chest": 0.02,
    "fundus": 0.01,
}
"""Of a batch; any other data set has the smallest of them."""
_EVENNESS: Final = 0.7
"""Classes of a data set are drawn by their size to this power: 1 as they are, 0 evenly."""


@dataclass(frozen=True, slots=True)
class Task:
    """One label; `targets` (n,) int64 number its classes, -1 where it is not known."""

    name: str
    classes: tuple[str, ...]
    targets: Tensor
    weight: float


def tasks_of(benchmark: Benchmark) -> tuple[Task, ...]:
    """Every task that at least two classes of the benchmark are known for."""
    made = [_task(benchmark, name, label, weight) for name, (label, weight) in _TASKS.items()]
    return tuple(task for task in made if len(task.classes) > 1)


def shares_of(benchmark: Benchmark) -> NDArray[np.float64]:
    """(n,) how often each image is drawn; they add up to one."""
    datasets = np.array([image.dataset for image in benchmark.images])
    classes = np.array([f"{i.dataset}|{i.finding}|{_region(i)}" for i in benchmark.images])
    shares = np.zeros(len(datasets))
    for dataset in sorted(set(datasets.tolist())):
        own = datasets == dataset
        _, place, sizes = np.unique(classes[own], return_inverse=True, return_counts=True)
        of_class = sizes**_EVENNESS / (sizes**_EVENNESS).sum()
        shares[own] = SHARES.get(dataset, min(SHARES.values())) * (of_class / sizes)[place]
    return np.asarray(shares / shares.sum())


FINDING_DATASETS: Final = ("brain_tumor_mr", "pneumonia_cxr", "busi_breast_us")


def _task(benchmark: Benchmark, name: str, label: Callable[[LabelledImage], str], weight: float) -> Task:
    labels = [label(image) for image in benchmark.images]
    classes = tuple(sorted({value for value in labels if value}))
    number = {value: index for index, value in enumerate(classes)}
    return Task(name, classes, torch.tensor([number.get(value, UNKNOWN) for value in labels]), weight)


def _of(dataset: str, name: str) -> Callable[[LabelledImage], str]:
    return lambda image: image.label(name) if image.dataset == dataset else ""


def _region(image: LabelledImage) -> str:
    """Modality and body part; a brain is in a head."""
    return f"{image.modality}|{'head' if image.body_part == 'brain' else image.body_part}"


_TASKS: Final[dict[str, tuple[Callable[[LabelledImage], str], float]]] = {
    "brain tumour": (_of("brain_tumor_mr", "finding"), 1.0),
    "pneumonia": (_of("pneumonia_cxr", "finding"), 1.0),
    "breast": (_of("busi_breast_us", "finding"), 1.0),
    "region": (_region, 0.5),
    "view": (_of("covid_chest", "view_or_sequence"), 1.0),
    "sequence": (_of("openms_multiseq_mr", "view_or_sequence"), 1.0),
}


def drawn(
    shares: Sequence[float] | NDArray[np.float64], size: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """(size,) places of images, drawn with repetition."""
    return np.asarray(rng.choice(len(shares), size, p=shares), dtype=np.intp)
