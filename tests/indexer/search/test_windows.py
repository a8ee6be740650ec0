"""Rectangles over cells: what is inside them, and where the same is found in another frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain import EncoderVersion, FeatureMap, Region
from indexer.search.windows import best_window, sight_of

VERSION = EncoderVersion("test", "ab" * 32, 3)
CELLS = 8


def frame(left: float, top: float, size: float, area: Region | None = None) -> FeatureMap:
    """A square of another kind than its ground, seen through cells that cover `area` of the frame."""
    area = area or Region(0, 0, 1, 1)
    fine = 16
    middles = (np.arange(CELLS * fine) + 0.5) / (CELLS * fine)
    x, y = area.left + middles * area.width, area.top + middles * area.height
    inside = ((y >= top) & (y < top + size))[:, None] & ((x >= left) & (x < left + size))[None, :]
    share = inside.reshape(CELLS, fine, CELLS, fine).mean(axis=(1, 3))
    cells = np.stack([1 - share, share, np.full_like(share, 0.5)], axis=-1)
    return FeatureMap(VERSION, cells.astype(np.float32), area)


def test_inside_is_the_mean_of_the_cells_by_how_much_of_each_lies_there() -> None:
    cells = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    sight = sight_of(FeatureMap(VERSION, cells, Region(0, 0, 1, 1)), Region(0.25, 0, 0.5, 0.75))
    assert sight is not None
    assert sight.inside[0] == pytest.approx((0 + 1) / 2 * 2 / 3 + (2 + 3) / 2 / 3)
    assert sight.whole[0] == pytest.approx(1.5)


def test_what_the_encoder_does_not_look_at_has_no_sight() -> None:
    cropped = frame(0.4, 0.4, 0.2, Region(0.25, 0, 0.5, 1))
    assert sight_of(cropped, Region(0, 0, 0.2, 0.2)) is None
    assert sight_of(cropped, Region(0.2, 0, 0.2, 0.2)) is not None


@pytest.mark.parametrize(
    "area", [Region(0, 0, 1, 1), Region(-0.5, 0, 2, 1), Region(0, -0.25, 1, 1.5), Region(0.1, 0, 0.8, 1)]
)
@given(left=st.floats(0.1, 0.6), top=st.floats(0.0, 0.7))
def test_a_region_is_found_in_another_frame_where_it_is(area: Region, left: float, top: float) -> None:
    asked = Region(0.5, 0.25, 0.3, 0.3)
    sight = sight_of(frame(0.5, 0.25, 0.3), asked)
    assert sight is not None
    found = best_window(frame(left, top, 0.3, area), sight, asked)
    assert found is not None
    place = found.place
    assert place.left + place.width / 2 == pytest.approx(left + 0.15, abs=0.13)
    assert place.top + place.height / 2 == pytest.approx(top + 0.15, abs=0.13)
    assert place.left >= max(0, area.left) - 1e-6
    assert place.left + place.width <= min(1, area.left + area.width) + 1e-6
    assert place.top >= 0
    assert place.top + place.height <= 1 + 1e-6


def test_a_frame_without_it_is_less_alike() -> None:
    asked = Region(0.5, 0.25, 0.3, 0.3)
    sight = sight_of(frame(0.5, 0.25, 0.3), asked)
    assert sight is not None
    there, absent = (best_window(frame(0.2, 0.2, size), sight, asked) for size in (0.3, 0.0))
    assert there is not None
    assert absent is not None
    assert there.score > absent.score + 0.3
    assert -1 <= absent.score <= there.score <= 1 + 1e-6


def test_a_region_that_is_the_whole_frame_is_found_as_the_whole_frame() -> None:
    whole = Region(0, 0, 1, 1)
    sight = sight_of(frame(0.5, 0.25, 0.3), whole)
    assert sight is not None
    found = best_window(frame(0.5, 0.25, 0.3), sight, whole)
    assert found is not None
    assert found.score == pytest.approx(1, abs=1e-5)


def test_a_point_is_looked_for_with_a_window_of_one_cell() -> None:
    point = Region(0.61, 0.36, 0.001, 0.001)
    sight = sight_of(frame(0.5, 0.25, 0.3), point)
    assert sight is not None
    found = best_window(frame(0.5, 0.25, 0.3), sight, point)
    assert found is not None
    assert (found.place.width, found.place.height) == pytest.approx((1 / CELLS, 1 / CELLS))
