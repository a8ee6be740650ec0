"""Whole experiments of multi-sequence learning: read, learn the folds, compare with encoders that did not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.embedding import pixel_embedding
from evaluation.vectors import ImageVectors
from indexer.domain import Vector
from training.errors import TrainingError
from training.fit import RunFolder, fit, seed_everything
from training.methods.sequence_folds import compare, cross_validate, learn_fold, patient_folds
from training.methods.sequence_slices import SequenceSlices
from training.methods.sequences import SequencesConfiguration, SequencesMethod, as_input, embed
from training.towers.mobilenet import MobileNetV2, load_weights

Tables = dict[str, dict[str, dict[str, float]]]
_SIDE = 224
_BATCH = 64
_WHITE = np.float32(255)


def run_sequences(
    folder: Path,
    dataset: str,
    out: Path,
    configuration: SequencesConfiguration,
    baselines: Mapping[str, Path],
    only: int | None = None,
) -> Tables:
    """Cross-validate the supervised contrastive method.

    Args:
        folder: of the benchmark.
        dataset: of it.
        out: for runs, vectors and figures.
        configuration: of every fold; its `fold` is not read.
        baselines: files of vectors, by name. The pixels, and the ImageNet MobileNetV2 where the configuration
            names its weights, are compared with always.
        only: learn this fold and no more, so that several processes share the work; nothing is compared.

    Raises:
        TrainingError: the images are not of several sequences, there is no such fold, `out` holds folds of
            another configuration, or a baseline lacks an image.
        BenchmarkError: the benchmark cannot be used.
    """
    benchmark = Benchmark.open(folder).dataset(dataset)
    slices = SequenceSlices.read(benchmark, configuration.side)
    folds = patient_folds(benchmark, configuration.folds)

    def learn(
        own: SequencesConfiguration, training: SequenceSlices, held_out: SequenceSlices, run: RunFolder
    ) -> Vector:
        seed_everything(own.fit)
        method = SequencesMethod(own, training)
        fit(method, run, own.fit, title=f"fold {own.fold}")
        return np.asarray(embed(method.tower, held_out, own.fit).numpy())

    if only is not None:
        if only >= len(folds):
            raise TrainingError(f"There is no fold {only} of {len(folds)}: they are numbered from 0.")
        own = configuration.model_copy(update={"fold": only})
        learn_fold(benchmark, slices, folds[only], out, own, learn)
        return {}
    learned = cross_validate(benchmark, slices, folds, out, configuration, learn)
    weights = configuration.weights if configuration.backbone == "mobilenetv2" else None
    return compare(benchmark, learned, baseline_vectors(benchmark, baselines, weights, out), out)


def baseline_vectors(
    benchmark: Benchmark, files: Mapping[str, Path], weights: Path | None, out: Path
) -> dict[str, Vector]:
    """Vectors (n, d) by name: the pixels, the ImageNet tower where weights are given, and the files."""
    vectors = {"pixel": pixel_embedding([benchmark.pixels(index) for index in range(len(benchmark))])}
    if weights is not None:
        vectors["ImageNet MobileNetV2"] = _imagenet(benchmark, weights, out)
    for name, file in files.items():
        vectors[name] = _aligned(benchmark, file)
    return vectors


def _imagenet(benchmark: Benchmark, weights: Path, out: Path) -> Vector:
    """MobileNetV2 as it comes, at 224 pixels; kept in a file that is named after the weights."""
    kept = out / f"imagenet-{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}.npz"
    if not kept.exists():
        tower = MobileNetV2()
        load_weights(tower, weights)
        slices = SequenceSlices.read(benchmark, _SIDE)
        rows = [_embedded(tower.eval(), slices.images[k : k + _BATCH]) for k in range(0, len(slices), _BATCH)]
        ImageVectors(slices.names, np.concatenate(rows)).write(kept)
    return _aligned(benchmark, kept)


@torch.inference_mode()
def _embedded(tower: MobileNetV2, images: NDArray[np.uint8]) -> Vector:
    pictures = torch.from_numpy(images.astype(np.float32) / _WHITE)[:, None]
    return np.asarray(tower(as_input(pictures)).numpy())


def _aligned(benchmark: Benchmark, file: Path) -> Vector:
    read = ImageVectors.read(file)
    place = {name: index for index, name in enumerate(read.image)}
    missing = [image.image for image in benchmark.images if image.image not in place]
    if missing:
        raise TrainingError(f"{file} lacks {len(missing)} images, first {missing[0]}: embed the whole set.")
    return read.vector[[place[image.image] for image in benchmark.images]]
