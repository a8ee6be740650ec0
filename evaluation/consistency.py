"""How stable an encoder is: whether a frame finds the same after a change that changes nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.embedding import Embed, Progress
from evaluation.measurement import CONSISTENCY, Measurement
from evaluation.perturbation import PERTURBATIONS
from evaluation.ranking import Labelled, Names, rankings, unit_vectors
from evaluation.scoring import Scorer
from evaluation.tasks import EVERYWHERE
from indexer.domain import Vector
from inference.preprocess import Pixels

K: Final = 10
SAMPLED: Final = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """Frames to change, and what they are ranked in.

    Attributes:
        frames: (n,) rendered frames.
        subject: (n,) whose they are.
        label: (n,) of them; empty where none is known.
        gallery: what is searched; its labels are compared where the frames' are known.
    """

    frames: tuple[Pixels, ...]
    subject: Names
    label: Names
    gallery: Labelled


def benchmark_samples(scorer: Scorer, vector: Vector, sampled: int, seed: int = 0) -> Iterator[Sample]:
    """Of each data set, `sampled` images at random, to be ranked in that set by its first label.

    Args:
        scorer: of the benchmark.
        vector: float32 (all images, d), unit rows.
        sampled: images a data set.
        seed: of the choice; the same images for every encoder.
    """
    seen: set[str] = set()
    for task in scorer.tasks:
        if task.dataset in seen or task.dataset == EVERYWHERE:
            continue
        seen.add(task.dataset)
        gallery = scorer.labelled(task, vector)
        count = min(sampled, len(task.index))
        chosen = np.sort(np.random.default_rng(seed).choice(len(task.index), count, replace=False))
        frames = tuple(scorer.benchmark.pixels(int(task.index[i])) for i in chosen)
        yield Sample(frames, gallery.subject[chosen], gallery.label[chosen], gallery)


def consistency(
    samples: Sequence[Sample], embed: Embed, seed: int = 0, progress: Progress | None = None
) -> tuple[Measurement, ...]:
    """For every perturbation: `cosine`, `overlap@10` and, where labels are known, `P@10 change`.

    The cosine is that of a frame with itself after the change; the overlap the share of its 10 nearest
    of other subjects that stay; the change of P@10 is after minus before.

    Args:
        samples: frames with their galleries, whose vectors are of the same encoder.
        embed: the encoder.
        seed: of the noise and of the crops; the same for every encoder.
        progress: told how many more frames are done.
    """
    clean = [unit_vectors(embed(sample.frames)) for sample in samples]
    measured: list[Measurement] = []
    for name, perturb in PERTURBATIONS.items():
        rng = np.random.default_rng(seed)
        found: dict[str, list[NDArray[np.float64]]] = {}
        for sample, before in zip(samples, clean, strict=True):
            after = unit_vectors(embed([perturb(frame, rng) for frame in sample.frames]))
            for measure, column in _stability(sample, before, after).items():
                found.setdefault(measure, []).append(column)
            if progress is not None:
                progress(len(sample.frames))
        for measure, columns in found.items():
            values = np.concatenate(columns)
            measured.append(Measurement(CONSISTENCY, name, measure, values, _who(samples, measure)))
    return tuple(measured)


def _stability(sample: Sample, before: Vector, after: Vector) -> dict[str, NDArray[np.float64]]:
    gallery = sample.gallery
    nearest = [
        [r.nearest for r in rankings(query, gallery.vector, sample.subject, gallery.subject, K)]
        for query in (before, after)
    ]
    overlap = [np.intersect1d(old, new).size / max(len(old), 1) for old, new in zip(*nearest, strict=True)]
    values = {
        "cosine": (before.astype(np.float64) * after).sum(axis=1),
        "overlap@10": np.array(overlap, dtype=np.float64),
    }
    if _is_labelled(sample):
        changes = [
            float((gallery.label[new] == label).mean() - (gallery.label[old] == label).mean())
            for old, new, label in zip(*nearest, sample.label, strict=True)
        ]
        values["P@10 change"] = np.array(changes)
    return values


def _who(samples: Sequence[Sample], measure: str) -> tuple[str, ...]:
    wanted = [s for s in samples if _is_labelled(s) or measure != "P@10 change"]
    return tuple(subject for sample in wanted for subject in sample.subject.tolist())


def _is_labelled(sample: Sample) -> bool:
    return bool((sample.label != "").all())
