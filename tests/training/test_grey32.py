from __future__ import annotations

from pathlib import Path

import numpy as np

from inference.encoder import OnnxEncoder
from inference.preprocess import preprocess
from tests.inference.conftest import GREY32
from training import grey32


def test_building_it_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    grey32.write(tmp_path)
    for name in ("encoder.onnx", "card.json"):
        assert (tmp_path / name).read_bytes() == (GREY32 / name).read_bytes()


def test_it_is_the_frame_without_its_mean_at_unit_length(encoder: OnnxEncoder) -> None:
    frame = np.random.default_rng(8).random((100, 80), dtype=np.float32)
    values = preprocess(frame, encoder.card.input.preprocessing)
    centred = values.ravel().astype(np.float64) - values.mean()
    np.testing.assert_allclose(encoder.encode(values[None])[0], centred / np.linalg.norm(centred), atol=1e-6)


def test_brightness_and_contrast_change_nothing(encoder: OnnxEncoder) -> None:
    frame = np.random.default_rng(8).random((1, 1, 32, 32), dtype=np.float32)
    np.testing.assert_allclose(encoder.encode(frame), encoder.encode(frame * 0.3 + 0.2), atol=1e-5)


def test_constant_frames_have_no_vector_and_no_nan(encoder: OnnxEncoder) -> None:
    for level in np.linspace(0, 1, 21, dtype=np.float32):
        assert not encoder.encode(np.full((1, 1, 32, 32), level)).any()
