from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from indexer.errors import Rejected
from inference.lookup import lut_of, palette_of

CHANNELS = ("Red", "Green", "Blue")


def palette(descriptor: list[int], data: bytes, prefix: str = "") -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(is_implicit_vr=True, is_little_endian=True)
    for name in CHANNELS:
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", descriptor)
        dataset.add_new(f"{prefix}{name}PaletteColorLookupTableData", "OW", data)
    return dataset


def lut(descriptor: list[int], data: list[int] | bytes, vr: str = "US") -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(is_implicit_vr=True, is_little_endian=True)
    dataset.add_new("LUTDescriptor", "US", descriptor)
    dataset.add_new("LUTData", vr, data)
    return dataset


def test_values_outside_a_table_take_its_ends() -> None:
    table = lut_of(lut([3, 10, 16], [5, 6, 7]), signed=False)
    assert table is not None
    assert table.apply(np.array([0, 10, 11, 12, 500])).tolist() == [5, 5, 6, 7, 7]


def test_a_first_value_written_unsigned_beside_signed_pixels_is_negative() -> None:
    table = lut_of(lut([3, 65535, 16], [5, 6, 7]), signed=True)
    assert table is not None
    assert table.apply(np.array([-1, 0, 1])).tolist() == [5, 6, 7]


def test_zero_entries_are_sixty_five_thousand() -> None:
    table = lut_of(lut([0, 0, 16], np.arange(65536, dtype="<u2").tobytes(), "OW"), signed=False)
    assert table is not None
    assert table.apply(np.array([65535])).tolist() == [65535]


@pytest.mark.parametrize("broken", [lut([3, 0], [1]), lut([3, 0, 40], [1, 2, 3]), lut([3, 0, 16], b"", "OW")])
def test_a_malformed_table_is_none(broken: Dataset) -> None:
    assert lut_of(broken, signed=False) is None


def test_eight_bit_values_in_sixteen_bit_entries_are_not_dark() -> None:
    table = palette_of(palette([4, 0, 16], np.array([0, 85, 170, 255], "<u2").tobytes()), signed=False)
    np.testing.assert_allclose(table.entries[:, 0], [0, 1 / 3, 2 / 3, 1], atol=1e-6)


def test_eight_bit_entries_of_a_long_palette_are_reached() -> None:
    entries = (np.arange(4096) // 16).astype("u1")
    table = palette_of(palette([4096, 0, 8], entries.tobytes()), signed=False)
    np.testing.assert_allclose(table.apply(np.array([4095]))[0], 1)


def test_a_segmented_palette_is_expanded() -> None:
    segments = np.array([0, 2, 0, 65535, 1, 3, 0], "<u2")
    table = palette_of(palette([5, 100, 16], segments.tobytes(), "Segmented"), signed=False)
    expected = [0, 1, 2 / 3, 1 / 3, 0]
    np.testing.assert_allclose(table.apply(np.arange(100, 105))[:, 1], expected, atol=1e-4)


@given(st.lists(st.integers(0, 65535), min_size=0, max_size=40), st.integers(0, 65535))
def test_no_segmented_palette_does_more_than_be_refused(words: list[int], count: int) -> None:
    data = np.array(words, "<u2").tobytes()
    try:
        table = palette_of(palette([count, 0, 16], data, "Segmented"), signed=False)
    except Rejected as refused:
        assert refused.reason == "invalid_palette"
    else:
        assert np.isfinite(table.apply(np.arange(-5, 300))).all()
