from __future__ import annotations

import numpy as np
import pytest

from evaluation.errors import BenchmarkError
from evaluation.fourier_descriptor import ShapeSimilarity, descriptor
from evaluation.relevance import GreyHistograms, MaskOverlap, ndcg
from inference.preprocess import Pixels


def box(top: int, left: int, rows: int, columns: int, side: int = 64) -> Pixels:
    mask = np.zeros((side, side), dtype=np.float32)
    mask[top : top + rows, left : left + columns] = 1
    return mask


def disc(y: float, x: float, radius: float, side: int = 64) -> Pixels:
    down, right = np.mgrid[:side, :side]
    return np.asarray((down - y) ** 2 + (right - x) ** 2 <= radius**2, dtype=np.float32)


def everything_else(count: int) -> dict[int, np.ndarray]:
    return {i: np.array([j for j in range(count) if j != i]) for i in range(count)}


def test_overlap_is_intersection_over_union() -> None:
    overlap = MaskOverlap.of_masks([box(0, 0, 8, 8), box(0, 4, 8, 8), None, box(40, 40, 8, 8)])
    grades = overlap.of(0, np.array([0, 1, 2, 3]))
    np.testing.assert_allclose(grades, [1, 32 / 96, 0, 0])
    assert overlap.with_lesion.tolist() == [0, 1, 3]


def test_histograms_are_compared_without_their_background() -> None:
    dark, bright = np.full((8, 8), 0.3, np.float32), np.full((8, 8), 0.8, np.float32)
    half, framed = np.concatenate([dark, bright]), np.pad(dark, 20)
    grades = GreyHistograms.of_images([dark, bright, half, framed]).of(0, np.arange(4))
    np.testing.assert_allclose(grades, [1, 0, 0.5, 1])


def test_a_shape_is_known_again_when_it_is_moved_turned_and_enlarged() -> None:
    bar = box(10, 10, 6, 30)
    shapes = ShapeSimilarity.of_masks([bar, box(40, 25, 6, 30), bar.T, box(5, 2, 12, 60), disc(32, 32, 10)])
    moved, turned, larger, other = shapes.of(0, np.array([1, 2, 3, 4]))
    assert moved == pytest.approx(1)
    assert turned == pytest.approx(1, abs=1e-4)
    assert larger > 0.8
    assert other < 0.4


def test_a_disc_fills_its_circle_and_has_no_angular_frequency() -> None:
    described = descriptor(disc(32, 32, 25)).reshape(4, 9)
    assert described[0, 0] == pytest.approx(1, abs=0.02)
    assert described[0, 1:].max() < 0.02


def test_no_shape_is_relevant_to_nothing() -> None:
    shapes = ShapeSimilarity.of_masks([disc(20, 20, 5), None, np.zeros((64, 64), np.float32)])
    assert shapes.of(0, np.array([1, 2])).tolist() == [0, 0]


def test_ndcg_by_hand() -> None:
    vector = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5]], dtype=np.float32)
    overlap = MaskOverlap.of_masks([box(0, 0, 8, 8), box(0, 4, 8, 8), box(0, 0, 8, 8)])
    kept, values = ndcg(vector, overlap, [0], everything_else(3).__getitem__, cutoffs=(1, 2))
    assert kept.tolist() == [0]
    assert values["nDCG@1"][0] == pytest.approx(1 / 3)
    second = 1 / np.log2(3)
    assert values["nDCG@2"][0] == pytest.approx((1 / 3 + second) / (1 + second / 3))
    assert values["chance@1"][0] == pytest.approx(2 / 3)


def test_the_best_possible_ranking_has_ndcg_one() -> None:
    vector = np.array([[1, 0], [0.5, 0.5], [0.9, 0.1]], dtype=np.float32)
    overlap = MaskOverlap.of_masks([box(0, 0, 8, 8), box(0, 4, 8, 8), box(0, 0, 8, 8)])
    _, values = ndcg(vector, overlap, [0], everything_else(3).__getitem__)
    assert values["nDCG@5"][0] == pytest.approx(1)


def test_a_query_that_nothing_is_relevant_to_is_left_out() -> None:
    vector = np.eye(3, dtype=np.float32)
    overlap = MaskOverlap.of_masks([box(0, 0, 8, 8), box(0, 4, 8, 8), box(40, 40, 8, 8)])
    kept, _ = ndcg(vector, overlap, [0, 2], everything_else(3).__getitem__)
    assert kept.tolist() == [0]
    with pytest.raises(BenchmarkError, match="nothing is relevant"):
        ndcg(vector, overlap, [2], everything_else(3).__getitem__)
