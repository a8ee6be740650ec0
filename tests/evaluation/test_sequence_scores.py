"""Scores of multi-sequence vectors: as the general nDCG reckons them, within folds and across."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError
from evaluation.ranking import unit_vectors
from evaluation.relevance import GreyHistograms, MaskOverlap, ndcg
from evaluation.sequence_scores import BAR, SequenceFigure, SequenceScorer, ratio_to_best
from tests.fakes.benchmark import shapes


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return shapes(tmp_path)


def test_the_figures_are_those_of_the_general_measure(benchmark: Benchmark) -> None:
    vectors = np.random.default_rng(1).normal(size=(len(benchmark), 6)).astype(np.float32)
    parts = np.array([int(image.subject[1:]) % 2 for image in benchmark.images])
    figures = SequenceScorer(benchmark, parts).score(vectors)
    sequence = np.array([image.view_or_sequence for image in benchmark.images])
    subject = np.array([image.subject for image in benchmark.images])

    def allowed(query: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        elsewhere = (subject != subject[query]) & (sequence != sequence[query])
        return np.flatnonzero(elsewhere & (parts == parts[query]))

    overlap = MaskOverlap.of_masks([benchmark.mask(index) for index in range(len(benchmark))])
    greys = GreyHistograms.of_images([benchmark.pixels(index) for index in range(len(benchmark))])
    for name, relevance in (("mask IoU", overlap), ("grey histogram", greys)):
        _, expected = ndcg(unit_vectors(vectors), relevance, overlap.with_lesion, allowed)
        for measure, column in expected.items():
            found = figures[f"{name}, other sequence, {measure}"].values
            assert found == pytest.approx(column, abs=1e-5), (name, measure)


def test_masks_as_vectors_are_nearly_ideal_and_noise_is_not(benchmark: Benchmark) -> None:
    scorer = SequenceScorer(benchmark, np.zeros(len(benchmark), dtype=np.intp))
    masks = MaskOverlap.of_masks([benchmark.mask(index) for index in range(len(benchmark))]).masks
    noise = np.random.default_rng(0).normal(size=(len(benchmark), 8)).astype(np.float32)
    best, worst = scorer.score(masks)[BAR], scorer.score(noise)[BAR]
    assert best.values.mean() > 0.97
    assert worst.values.mean() < 0.9
    name, ratio = ratio_to_best(
        best, {"noise": worst, "itself halved": replace(best, values=best.values / 9)}
    )
    assert name == "noise"
    assert ratio.low <= ratio.mean <= ratio.high
    assert ratio.mean == pytest.approx(best.values.mean() / worst.values.mean())


def test_the_same_patient_is_found_again_where_vectors_are_the_patients(benchmark: Benchmark) -> None:
    scorer = SequenceScorer(benchmark, np.zeros(len(benchmark), dtype=np.intp))
    own = np.eye(12, dtype=np.float32)[[int(image.subject[1:]) for image in benchmark.images]]
    figures = scorer.score(own)
    assert figures["same patient, other sequence, P@1"].values.min() == 1.0
    assert figures["same patient, other sequence, whole volumes, P@1"].values.min() == 1.0
    noise = np.random.default_rng(0).normal(size=own.shape).astype(np.float32)
    assert scorer.score(noise)["same patient, other sequence, P@1"].values.mean() < 0.7


def test_a_ratio_of_one_figure_to_its_half_is_two() -> None:
    own = SequenceFigure(np.array([0.2, 0.4, 0.6]), ("a", "a", "b"))
    half = replace(own, values=own.values / 2)
    name, ratio = ratio_to_best(own, {"half": half})
    assert (name, ratio.mean, ratio.low, ratio.high) == ("half", 2.0, 2.0, 2.0)


def test_one_sequence_or_no_mask_is_refused(benchmark: Benchmark) -> None:
    alone = benchmark.where(lambda image: image.view_or_sequence == "T1")
    with pytest.raises(BenchmarkError, match="only one sequence"):
        SequenceScorer(alone, np.zeros(len(alone), dtype=np.intp))
    bare = replace(benchmark, images=tuple(replace(image, mask="") for image in benchmark.images))
    with pytest.raises(BenchmarkError, match="No image has a lesion mask"):
        SequenceScorer(bare, np.zeros(len(bare), dtype=np.intp))


def test_a_subject_in_two_folds_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(BenchmarkError, match="A subject is in two folds"):
        SequenceScorer(benchmark, np.arange(len(benchmark), dtype=np.intp))
