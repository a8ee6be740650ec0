"""A slice lies where its position falls on the normal of its plane."""

from __future__ import annotations

import math

import pytest

from indexer.adapters.slice_position import position_mm

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def test_an_axial_slice_lies_at_its_z() -> None:
    assert position_mm((5, 6, 7), AXIAL) == 7


def test_a_sagittal_slice_lies_at_its_x() -> None:
    assert position_mm((5, 6, 7), SAGITTAL) == -5


def test_an_oblique_slice_lies_along_its_normal() -> None:
    half = math.sqrt(0.5)
    assert position_mm((0, -10 * half, 10 * half), (1, 0, 0, 0, half, half)) == pytest.approx(10)


def test_cosines_that_are_not_of_unit_length_change_nothing() -> None:
    assert position_mm((5, 6, 7), (2, 0, 0, 0, 3, 0)) == 7


@pytest.mark.parametrize(
    ("position", "orientation"),
    [
        ((), AXIAL),
        ((1, 2), AXIAL),
        ((1, 2, 3), ()),
        ((1, 2, 3), (1, 0, 0, 2, 0, 0)),
        ((1, 2, 3), (0, 0, 0, 0, 0, 0)),
        ((1, 2, math.nan), AXIAL),
        ((1, 2, math.inf), AXIAL),
        ((1, 2, 3), (math.nan, 0, 0, 0, 1, 0)),
        ((1e308, 1e308, 1e308), (1e308, 1e308, 1e308, 1e308, -1e308, 1e308)),
    ],
)
def test_numbers_that_span_no_plane_give_no_position(
    position: tuple[float, ...], orientation: tuple[float, ...]
) -> None:
    assert position_mm(position, orientation) is None
