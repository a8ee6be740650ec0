"""What each cell adds to the likeness of two frames."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.domain import EncoderVersion, FeatureMap, Region
from indexer.search.match_maps import DifferentEncoders, contributions, match_maps

VERSION = EncoderVersion("test", "ab" * 32, 6)
WHOLE = Region(0, 0, 1, 1)


def seen(seed: int, rows: int = 3, columns: int = 4, version: EncoderVersion = VERSION) -> FeatureMap:
    rng = np.random.default_rng(seed)
    cells = rng.normal(0.3, 1.0, (rows, columns, version.dimension)).astype(np.float32)
    return FeatureMap(version, cells, Region(0, -0.1 * seed, 1, 1 + 0.2 * seed))


def test_the_cosine_of_two_frames_is_the_sum_over_the_cells_of_either() -> None:
    one, other = seen(1), seen(2, rows=5, columns=2)
    a, b = one.cells.mean(axis=(0, 1)), other.cells.mean(axis=(0, 1))
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    first, second = contributions(one, other)
    assert (first.shape, second.shape) == ((3, 4), (5, 2))
    assert first.sum() == pytest.approx(cosine, abs=1e-6)
    assert second.sum() == pytest.approx(cosine, abs=1e-6)


def test_one_is_the_cell_that_adds_most_and_what_speaks_against_counts_as_none() -> None:
    one, other = seen(1), seen(2)
    first, _ = contributions(one, other)
    shown, _ = match_maps(one, other)
    assert first.min() < 0
    assert (shown.values.min(), shown.values.max()) == (0, 1)
    assert shown.values.argmax() == first.argmax()
    assert shown.area == one.area


def test_the_same_thing_in_two_places_is_shown_in_both() -> None:
    def with_thing(row: int, column: int) -> FeatureMap:
        cells = np.zeros((4, 4, 6), dtype=np.float32)
        cells[..., 0] = 0.01
        cells[row, column, 3] = 1.0
        return FeatureMap(VERSION, cells, WHOLE)

    first, second = match_maps(with_thing(0, 3), with_thing(2, 1))
    assert first.values.argmax() == np.ravel_multi_index((0, 3), (4, 4))
    assert second.values.argmax() == np.ravel_multi_index((2, 1), (4, 4))
    assert np.sort(first.values.ravel())[-2] < 0.1


def test_a_frame_in_which_nothing_is_seen_adds_nothing() -> None:
    nothing = FeatureMap(VERSION, np.zeros((2, 2, 6), dtype=np.float32), WHOLE)
    first, second = match_maps(nothing, seen(1))
    assert not first.values.any()
    assert not second.values.any()


def test_what_two_encoders_saw_is_not_compared() -> None:
    with pytest.raises(DifferentEncoders, match="other"):
        match_maps(seen(1), seen(2, version=EncoderVersion("other", "cd" * 32, 6)))
