"""Images as towers read them: the product's own letterbox, whole bytes, ImageNet's statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.preprocess import Preprocessing, preprocess
from tests.fakes.benchmark import row, write_benchmark
from training.images import MEAN, STD, in_unit_range, letterboxed, normalised, read_images
from training.radiology.views import model_inputs


def test_images_are_letterboxed_alike_whichever_way_their_channels_lie(tmp_path: Path) -> None:
    wide = np.full((20, 40), 0.5, dtype=np.float32)
    benchmark = write_benchmark(tmp_path, [row("a.png", "p1")], [wide])
    last, first = letterboxed(benchmark, 32), read_images(benchmark, 32)
    assert last.shape == (1, 32, 32, 3)
    assert torch.equal(first, torch.from_numpy(last).permute(0, 3, 1, 2))
    assert np.unique(last[0, :8]).tolist() == np.unique(last[0, 24:]).tolist() == [0]
    assert np.unique(last[0, 8:24]).tolist() == [128]


def test_what_a_tower_learns_from_is_what_the_product_gives_it_but_for_the_rounding(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((50, 40), dtype=np.float32)
    benchmark = write_benchmark(tmp_path, [row("a.png", "p1")], [noise])
    served = preprocess(benchmark.pixels(0), Preprocessing(3, 32, 32, "letterbox", 0.0, 1.0, MEAN, STD))
    bytes_of_it = letterboxed(benchmark, 32)
    learned = normalised(read_images(benchmark, 32).float() / 255)
    half_a_grey = 0.5 / 255 / min(STD)
    assert learned[0].numpy() == pytest.approx(served, abs=half_a_grey + 1e-5)
    assert torch.equal(model_inputs(in_unit_range(bytes_of_it)), learned)


def test_grey_images_become_three_channels() -> None:
    grey = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(normalised(grey), normalised(grey.expand(2, 3, 4, 4)))
