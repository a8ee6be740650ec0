"""Image-text learning measured on cases it never saw: a run a fold, its vectors, and its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.bootstrap import Interval, interval_over_subjects, paired_difference
from evaluation.case_queries import BOTH, TEXTUAL, VISUAL, CaseQueries
from evaluation.folds import Fold, grouped_folds, refuse_shared_subjects, subject_groups
from evaluation.ranking import unit_vectors
from evaluation.text_retrieval import recall_and_rank, text_retrieval
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from inference.preprocess import preprocess
from training.learned_from import refuse_seen
from training.methods.image_text import FrozenVectors, add_images, train_image_text
from training.methods.image_text_configuration import ImageTextConfiguration
from training.methods.image_text_model import ImageTextModel

VECTORS_NAME: Final = "vectors.npz"
FIGURES_NAME: Final = "figures.json"
_CHUNK: Final = 32
_RELEVANCE: Final = ("modality+body_part", "finding", "view_or_sequence")
_CASE_FIGURES: Final = ("P@1", "P@5", "P@10", "mAP@10")
_TEXT_FIGURES: Final = ("R@1", "R@5", "R@10", "MRR")


@dataclass(frozen=True, slots=True)
class FoldVectors:
    """What a fold's model answers for images it did not learn from, and for their texts.

    Attributes:
        benchmark: those images.
        vectors: images and distinct captions.
        query_text: float32 (n, d), of each image's caption, or of its case's report without one.
        has_text: bool (n,).
    """

    benchmark: Benchmark
    vectors: ImageVectors
    query_text: Vector
    has_text: NDArray[np.bool_]


def folds_over_cases(benchmark: Benchmark, folds: int, seed: int) -> tuple[Fold, ...]:
    """Folds of whole subjects, body parts spread evenly."""
    strata = [f"{image.dataset}|{image.modality}|{image.body_part}" for image in benchmark.images]
    return grouped_folds(subject_groups(benchmark), strata, folds, seed)


def train_folds(
    wanted: ImageTextConfiguration,
    benchmark: Benchmark,
    folder: Path,
    folds: int,
    frozen: FrozenVectors | None = None,
) -> list[FoldVectors]:
    """A run a fold in `fold-0`, `fold-1` and so on, each with the vectors of its held-out part.

    Args:
        wanted: of every run.
        benchmark: the images of all folds.
        folder: made where it is missing.
        folds: how many.
        frozen: what frozen towers answered before, where they start alike; filled with what is missing.

    Raises:
        BenchmarkError: there are fewer subjects than folds.
        TrainingError: the data, the weights or a folder cannot be used, a folder holds another fold, or the
            run that is started from has seen what is held out.
    """
    frozen = FrozenVectors() if frozen is None else frozen
    found = []
    for number, fold in enumerate(folds_over_cases(benchmark, folds, wanted.settings.seed)):
        training, held_out = benchmark.at(fold.training.tolist()), benchmark.at(fold.held_out.tolist())
        refuse_shared_subjects(training, held_out)
        names = [image.image for image in benchmark.images]
        refuse_seen(wanted.start, names, subject_groups(benchmark), fold.held_out)
        run = folder / f"fold-{number}"
        # A tokenizer learned in one fold must not be read with the vectors of another's.
        shared = FrozenVectors(frozen.images) if wanted.vocabulary_size else frozen
        model = train_image_text(wanted, training, run, shared, (number, folds))
        found.append(held_out_vectors(model, wanted, held_out, shared))
        found[-1].vectors.write(run / VECTORS_NAME)
    return found


@torch.inference_mode()
def held_out_vectors(
    model: ImageTextModel,
    wanted: ImageTextConfiguration,
    benchmark: Benchmark,
    frozen: FrozenVectors | None = None,
) -> FoldVectors:
    """Embed images, their distinct captions, and each image's own text, in the joint space.

    What frozen towers answer is taken from `frozen`, where it is there.
    """
    device = wanted.settings.device
    vectors = _image_vectors(model, wanted, benchmark, frozen)
    captions = tuple(sorted({image.caption for image in benchmark.images if image.caption}))
    texts = [image.caption or image.report for image in benchmark.images]
    distinct = sorted({*captions, *(text for text in texts if text)})
    embedded = model.text.head(model.text.tower.embed(distinct).to(device)).float().cpu().numpy()
    place = {text: row for row, text in enumerate(distinct)}
    return FoldVectors(
        benchmark=benchmark,
        vectors=ImageVectors(
            tuple(image.image for image in benchmark.images),
            vectors,
            captions,
            embedded[[place[c] for c in captions]],
        ),
        query_text=embedded[[place.get(text, 0) for text in texts]],
        has_text=np.array([bool(text) for text in texts]),
    )


def measure(folds: Sequence[FoldVectors], text_share: float = 0.5) -> dict[str, object]:
    """Figures averaged over the folds, chance beside, intervals over subjects.

    Returns:
        `text`: text-to-image and image-to-text R@k and MRR with chance, and the share of queries where a
        wrong answer is tied with the right one (a tie counts as found); `cases`: for each relevance the
        figures of visual, textual and joined queries with the paired differences.
    """
    cases = {name: _cases(folds, name, text_share) for name in _RELEVANCE}
    return {
        "folds": len(folds),
        "text_share": text_share,
        "text": _texts(folds),
        "cases": {name: figures for name, figures in cases.items() if figures},
    }


def write_figures(figures: Mapping[str, object], folder: Path) -> None:
    """Write figures.json into the folder of the folds."""
    (folder / FIGURES_NAME).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _image_vectors(
    model: ImageTextModel,
    wanted: ImageTextConfiguration,
    benchmark: Benchmark,
    frozen: FrozenVectors | None,
) -> Vector:
    if wanted.tune_image_tower == "none" and frozen is not None:
        add_images(frozen, model.image, benchmark, wanted)
        features = torch.stack([frozen.images[image.image][0] for image in benchmark.images])
        return np.asarray(model.image.head(features.to(wanted.settings.device)).float().cpu().numpy())
    images = [preprocess(benchmark.pixels(i), wanted.preprocessing) for i in range(len(benchmark))]
    batches = [
        model.image(torch.from_numpy(np.stack(images[start : start + _CHUNK])).to(wanted.settings.device))
        for start in range(0, len(images), _CHUNK)
    ]
    return np.asarray(torch.cat(batches).float().cpu().numpy())


def _texts(folds: Sequence[FoldVectors]) -> dict[str, dict[str, float]]:
    rows: list[dict[str, float]] = []
    for fold in folds:
        captions, vectors = fold.vectors.caption, fold.vectors.caption_vector
        if vectors is None or not captions:
            continue
        own = [image.caption for image in fold.benchmark.images]
        found = text_retrieval(unit_vectors(fold.vectors.vector), own, captions, vectors)
        row = {"captions": float(len(found.caption)), "images": float(len(found.image))}
        t2i, i2t = found.text_to_image_tied, found.image_to_text_tied
        for way, ahead, chance, tied in (
            ("text to image", found.text_to_image, found.chance_text_to_image, t2i),
            ("image to text", found.image_to_text, found.chance_image_to_text, i2t),
        ):
            values = recall_and_rank(ahead)
            row |= {f"{way} {name}": float(values[name].mean()) for name in _TEXT_FIGURES}
            row |= {f"{way} {name} chance": chance[name] for name in _TEXT_FIGURES}
            row[f"{way} tied"] = float(tied.mean())
        rows.append(row)
    return {
        name: {"mean": float(np.mean(v)), "lowest": float(np.min(v)), "highest": float(np.max(v))}
        for name in (rows[0] if rows else ())
        for v in [[row[name] for row in rows]]
    }


def _cases(folds: Sequence[FoldVectors], name: str, text_share: float) -> dict[str, object]:
    """All folds' queries together, each against its own fold's gallery."""
    values: dict[str, list[Mapping[str, NDArray[np.float64]]]] = {VISUAL: [], TEXTUAL: [], BOTH: []}
    subjects: list[str] = []
    for fold in folds:
        asked = _queries(fold, name)
        if asked is None:
            continue
        for kind, found in asked.measure(text_share).items():
            values[kind].append(found)
        subjects += asked.subject.tolist()
    if not subjects:
        return {}
    joined = {
        kind: {f: np.concatenate([v[f] for v in found]) for f in (*_CASE_FIGURES, "chance")}
        for kind, found in values.items()
    }
    figures: dict[str, object] = {"queries": len(subjects), "chance": float(joined[BOTH]["chance"].mean())}
    for kind, found in joined.items():
        figures[kind] = {f: _numbers(interval_over_subjects(found[f], subjects)) for f in _CASE_FIGURES}
    for kind in (VISUAL, TEXTUAL):
        figures[f"{BOTH} above {kind}"] = {
            f: _numbers(paired_difference(joined[BOTH][f], joined[kind][f], subjects)) for f in _CASE_FIGURES
        }
    return figures


def _queries(fold: FoldVectors, name: str) -> CaseQueries | None:
    """The images that have a text, and a label that another subject has too."""
    labels = np.array([image.label(name) for image in fold.benchmark.images])
    subjects = np.array([f"{image.dataset}/{image.subject}" for image in fold.benchmark.images])
    owners: dict[str, set[str]] = {}
    for label, subject in zip(labels.tolist(), subjects.tolist(), strict=True):
        owners.setdefault(label, set()).add(subject)
    kept = (
        np.array([bool(label) and len(owners[label]) > 1 for label in labels.tolist()], dtype=np.bool_)
        & fold.has_text
    )
    if len(set(subjects[kept].tolist())) < 2:
        return None
    return CaseQueries(fold.vectors.vector[kept], fold.query_text[kept], labels[kept], subjects[kept])


def _numbers(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
