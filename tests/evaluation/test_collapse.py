from __future__ import annotations

import numpy as np
import pytest

from evaluation.collapse import leading_shares, spread_of
from evaluation.errors import BenchmarkError


def test_evenly_spread_vectors_use_every_direction_but_the_mean() -> None:
    corners = np.concatenate([np.eye(8), -np.eye(8)]).astype(np.float32)
    spread = spread_of(corners)
    assert spread.effective_rank == pytest.approx(8.0)
    assert spread.first_share == pytest.approx(1 / 8)
    assert spread.mean_cosine == pytest.approx(-1 / 15)
    assert spread.dimension == 8
    assert not spread.is_collapsed


def test_the_rank_is_the_exponential_of_the_entropy_of_the_singular_values() -> None:
    cross = np.array([[1, 0], [-1, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)
    shares = np.array([2.0, 2**0.5]) / (2 + 2**0.5)
    assert spread_of(cross).effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    np.testing.assert_allclose(leading_shares(cross), [2 / 3, 1 / 3], rtol=1e-9)


def test_vectors_on_a_line_are_collapsed() -> None:
    rng = np.random.default_rng(0)
    line = rng.normal(size=(50, 1)) * rng.normal(size=(1, 32)) + 0.01 * rng.normal(size=(50, 32))
    assert spread_of(line.astype(np.float32)).is_collapsed


def test_one_vector_for_everything_is_collapsed() -> None:
    spread = spread_of(np.ones((10, 16), dtype=np.float32))
    assert spread.is_collapsed
    assert spread.effective_rank == 1.0
    assert spread.mean_cosine == pytest.approx(1.0)


def test_length_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 6)).astype(np.float32)
    longer = vectors * rng.uniform(0.5, 9, size=(30, 1)).astype(np.float32)
    assert spread_of(longer).effective_rank == pytest.approx(spread_of(vectors).effective_rank, rel=1e-5)


@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.zeros((3, 4)), np.full((3, 4), np.nan)])
def test_vectors_that_say_nothing_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(BenchmarkError):
        spread_of(vectors.astype(np.float32))
