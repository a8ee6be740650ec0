from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.consistency import benchmark_samples, consistency
from evaluation.embedding import embed_images, pixel_embedding
from evaluation.measurement import Measurement
from evaluation.perturbation import PERTURBATIONS
from evaluation.scoring import Scorer, aligned
from indexer.domain import Vector
from inference.preprocess import Pixels
from tests.fakes.benchmark import shape, shapes


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return shapes(tmp_path_factory.mktemp("bench"))


def size_only(frames: Sequence[Pixels]) -> Vector:
    """An encoder that a crop confuses and nothing else touches."""
    is_whole = [frame.shape == (48, 48) for frame in frames]
    return np.array([[1, 0] if whole else [0, 1] for whole in is_whole], dtype=np.float32)


def measured(benchmark: Benchmark, sampled: int = 6) -> dict[tuple[str, str], Measurement]:
    vectors = embed_images(benchmark, pixel_embedding)
    scorer = Scorer(benchmark)
    samples = tuple(benchmark_samples(scorer, aligned(benchmark, vectors), sampled))
    return {(m.task, m.measure): m for m in consistency(samples, pixel_embedding)}


def test_every_perturbation_has_its_figures(benchmark: Benchmark) -> None:
    found = measured(benchmark)
    wanted = {(name, m) for name in PERTURBATIONS for m in ("cosine", "overlap@10", "P@10 change")}
    assert set(found) == wanted
    assert all(len(m.values) == 6 == len(m.subjects) for m in found.values())


def test_a_window_moves_pixels_less_than_a_crop(benchmark: Benchmark) -> None:
    found = measured(benchmark)
    assert found["JPEG of quality 75", "cosine"].mean > 0.99
    assert found["window 1.25 as wide", "cosine"].mean > found["crop of 0.8", "cosine"].mean
    assert found["JPEG of quality 75", "overlap@10"].mean > found["crop of 0.8", "overlap@10"].mean


def test_an_encoder_that_only_sees_sizes_changes_by_crops_alone(benchmark: Benchmark) -> None:
    scorer = Scorer(benchmark)
    vector = size_only([benchmark.pixels(i) for i in range(len(benchmark))])
    samples = tuple(benchmark_samples(scorer, vector, 4))
    found = {(m.task, m.measure): m.mean for m in consistency(samples, size_only)}
    assert found["crop of 0.9", "cosine"] == 0
    assert found["noise of 0.05", "cosine"] == 1
    assert found["noise of 0.05", "overlap@10"] == 1
    assert found["noise of 0.05", "P@10 change"] == 0


def test_the_same_frames_are_chosen_and_changed_alike_each_time(benchmark: Benchmark) -> None:
    first, again = measured(benchmark), measured(benchmark)
    assert all(np.array_equal(first[key].values, again[key].values) for key in first)


@pytest.mark.parametrize("name", sorted(PERTURBATIONS))
@pytest.mark.parametrize("colour", [False, True])
def test_a_changed_frame_is_still_a_frame(name: str, colour: bool) -> None:
    frame = shape("cross", 3)
    given = np.repeat(frame[..., None], 3, axis=2) if colour else frame
    changed = PERTURBATIONS[name](given, np.random.default_rng(0))
    assert changed.dtype == np.float32
    assert changed.ndim == given.ndim
    assert 0 <= changed.min() <= changed.max() <= 1
    assert 0 < np.abs(given[: len(changed), : changed.shape[1]] - changed).mean() < 0.3
