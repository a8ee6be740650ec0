from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.preprocess import Preprocessing, Resize, preprocess


def wanted(
    resize: Resize = "stretch", side: int = 8, channels: int = 1, low: float = 0.0, high: float = 1.0
) -> Preprocessing:
    return Preprocessing(
        channels=channels,
        height=side,
        width=side,
        resize=resize,
        low=low,
        high=high,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )


def test_shrinking_averages() -> None:
    frame = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    expected = frame.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(preprocess(frame, wanted())[0], expected, atol=1e-6)


def test_a_letterbox_keeps_the_shape_and_pads_with_black() -> None:
    boxed = preprocess(np.ones((16, 8), np.float32), wanted("letterbox"))[0]
    np.testing.assert_allclose(boxed[:, 2:6], 1)
    np.testing.assert_allclose(boxed[:, :2], 0)
    np.testing.assert_allclose(boxed[:, 6:], 0)


def test_a_crop_keeps_the_middle() -> None:
    frame = np.zeros((8, 24), np.float32)
    frame[:, 8:16] = 1
    np.testing.assert_allclose(preprocess(frame, wanted("crop")), 1)


def test_grey_becomes_three_equal_channels_and_colour_its_luma() -> None:
    grey = np.random.default_rng(1).random((9, 9), dtype=np.float32)
    three = preprocess(grey, wanted(channels=3))
    np.testing.assert_array_equal(three[0], three[2])
    colour = np.zeros((4, 4, 3), np.float32)
    colour[..., 1] = 1
    np.testing.assert_allclose(preprocess(colour, wanted()), 0.587, atol=1e-6)


def test_range_mean_and_deviation_are_those_of_each_channel() -> None:
    card = Preprocessing(
        channels=3, height=2, width=2, resize="stretch", low=0, high=255, mean=(10, 20, 30), std=(1, 2, 4)
    )
    values = preprocess(np.ones((2, 2), np.float32), card)
    np.testing.assert_allclose(values[:, 0, 0], [245, 117.5, 56.25])


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(["letterbox", "stretch", "crop"]),
    st.sampled_from([1, 3]),
    st.booleans(),
)
def test_whatever_the_frame_the_shape_is_the_models_and_the_range_is_kept(
    rows: int, columns: int, resize: Resize, channels: int, colour: bool
) -> None:
    shape = (rows, columns, 3) if colour else (rows, columns)
    frame = np.random.default_rng(rows * 100 + columns).random(shape, dtype=np.float32)
    values = preprocess(frame, wanted(resize, 16, channels))
    assert values.shape == (channels, 16, 16)
    assert values.dtype == np.float32
    assert values.min() >= -1e-6
    assert values.max() <= 1 + 1e-6


@pytest.mark.parametrize("forbidden", ["onnxruntime", "pydicom", "pebble"])
def test_training_can_import_it_alone(forbidden: str) -> None:
    program = f"import inference.preprocess, sys; sys.exit({forbidden!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
