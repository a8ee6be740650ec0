"""What a benchmark can be asked: its labels with classes enough, its masks, captions and subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError

LABELS: Final = ("finding", "modality+body_part", "modality", "body_part", "plane", "view_or_sequence")
EVERYWHERE: Final = "all"
FEWEST_IMAGES: Final = 10
FEWEST_SUBJECTS: Final = 5
FEWEST_A_CLASS: Final = 5
FEWEST_LESIONS: Final = 20
_NO_REAL_SUBJECTS: Final = ("approximate", "unknown")


@dataclass(frozen=True, slots=True)
class LabelTask:
    """Whether neighbours bear the query's label; `index` are the images that have one, (n,)."""

    dataset: str
    label: str
    index: NDArray[np.intp]
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Data set and label."""
        return f"{self.dataset} {self.label}"


def label_tasks(benchmark: Benchmark) -> tuple[LabelTask, ...]:
    """Each data set with each label that tells its images apart, and modality over all of them.

    A label is asked where it has two classes, at least 10 images of 5 subjects, and on average at least 5
    images a class: a finding that is its case's own says nothing about neighbours of other cases.

    Raises:
        BenchmarkError: no label of any data set is of use.
    """
    tasks = [
        task
        for dataset in datasets(benchmark)
        for label in LABELS
        if (task := _label_task(benchmark, dataset, label)) is not None
    ]
    tasks = [task for task in tasks if not _is_said_by_another(task, tasks)]
    overall = _label_task(benchmark, EVERYWHERE, "modality")
    if overall is not None:
        tasks.append(overall)
    if not tasks:
        raise BenchmarkError(
            f"No label can be asked for: every column of {', '.join(LABELS)} has fewer than two classes, or "
            f"fewer than {FEWEST_IMAGES} images of {FEWEST_SUBJECTS} subjects. Is the set labelled?"
        )
    return tuple(tasks)


def datasets(benchmark: Benchmark) -> tuple[str, ...]:
    """Their names, in the order of the table."""
    return tuple(dict.fromkeys(image.dataset for image in benchmark.images))


def of_dataset(benchmark: Benchmark, dataset: str) -> NDArray[np.intp]:
    """Indices of its images; `all` is everything."""
    return np.array(
        [i for i, image in enumerate(benchmark.images) if dataset in (EVERYWHERE, image.dataset)],
        dtype=np.intp,
    )


def lesion_datasets(benchmark: Benchmark) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Data sets with masks enough, each with the indices of its images, with a mask or without."""
    for dataset in datasets(benchmark):
        index = of_dataset(benchmark, dataset)
        masked = [i for i in index if benchmark.images[i].mask]
        if len(masked) >= FEWEST_LESIONS and _subjects(benchmark, masked) >= FEWEST_SUBJECTS:
            yield dataset, index


def identity_datasets(benchmark: Benchmark) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Data sets whose subjects are known, and that have subjects with several series."""
    for dataset in datasets(benchmark):
        index = of_dataset(benchmark, dataset)
        images = [benchmark.images[i] for i in index]
        if images[0].subject_kind.startswith(_NO_REAL_SUBJECTS):
            continue
        series: dict[str, set[str]] = {}
        for image in images:
            series.setdefault(image.subject, set()).add(image.series)
        several = {subject for subject, own in series.items() if len(own) > 1}
        queries = sum(image.subject in several for image in images)
        if len(several) >= FEWEST_SUBJECTS and queries >= FEWEST_IMAGES:
            yield dataset, index


def _label_task(benchmark: Benchmark, dataset: str, label: str) -> LabelTask | None:
    index = [i for i in of_dataset(benchmark, dataset) if benchmark.images[i].label(label)]
    if len(index) < FEWEST_IMAGES or _subjects(benchmark, index) < FEWEST_SUBJECTS:
        return None
    classes = sorted({benchmark.images[i].label(label) for i in index})
    if len(classes) < 2 or len(index) < FEWEST_A_CLASS * len(classes):
        return None
    if dataset != EVERYWHERE and "+" in label and not _all_vary(benchmark, index, label):
        return None
    return LabelTask(dataset, label, np.array(index, dtype=np.intp), tuple(classes))


def _all_vary(benchmark: Benchmark, index: list[int], label: str) -> bool:
    return all(len({benchmark.images[i].label(part) for i in index}) > 1 for part in label.split("+"))


def _is_said_by_another(task: LabelTask, tasks: list[LabelTask]) -> bool:
    """A body part is not asked apart where modality and body part are."""
    return task.label == "body_part" and any(
        other.dataset == task.dataset and other.label == "modality+body_part" for other in tasks
    )


def _subjects(benchmark: Benchmark, index: list[int]) -> int:
    return len({(benchmark.images[i].dataset, benchmark.images[i].subject) for i in index})
