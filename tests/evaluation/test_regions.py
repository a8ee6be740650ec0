"""Regions are measured: what is asked with its rectangle is found in others, and marked where it is."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.embedding import FrameEmbedding, embed_images
from evaluation.measurement import Comparison
from evaluation.regions import ANYWHERE, AS_FOUND, WHOLE, bounding, overlap, region_comparisons
from indexer.domain import Region
from inference.encoder import OnnxEncoder
from inference.preprocess import Pixels
from tests.fakes.benchmark import row, write_benchmark
from tests.fakes.brightness_encoder import write_brightness_encoder

SIDE = 56


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    return OnnxEncoder(
        write_brightness_encoder(tmp_path_factory.mktemp("encoders") / "brightness"), threads=1
    )


def picture(number: int, *, lesion: bool) -> Pixels:
    """Grey; a lesion is white, at a place that the number says."""
    rng = np.random.default_rng(number)
    frame = np.full((SIDE, SIDE), 0.3, dtype=np.float32)
    if lesion:
        y, x = rng.integers(0, SIDE - 14, 2)
        frame[y : y + 14, x : x + 14] = 1.0
    return frame


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    rows, pixels = [], []
    for number in range(12):
        for lesion in (True, False):
            name = f"{number:02d}-{lesion}.png"
            mask = f"{number:02d}-mask.png" if lesion else ""
            rows.append(row(name, f"s{number:02d}", modality="MR", view_or_sequence="T1", mask=mask))
            pixels.append(picture(number, lesion=lesion))
    rows.append(row("t2.png", "s98", modality="MR", view_or_sequence="T2"))
    pixels.append(picture(0, lesion=True))
    return write_benchmark(tmp_path_factory.mktemp("bench"), rows, pixels)


def measured(benchmark: Benchmark, encoder: OnnxEncoder) -> dict[str, Comparison]:
    vectors = embed_images(benchmark, FrameEmbedding(encoder)).vector
    return {one.measure: one for one in region_comparisons(benchmark, vectors, encoder, 6)}


def test_lesions_are_found_and_marked(benchmark: Benchmark, encoder: OnnxEncoder) -> None:
    found = measured(benchmark, encoder)
    assert found.keys() == {"P@10", "IoU", "hit"}
    assert found["P@10"].encoder.mean == 1
    assert found["P@10"].chance == pytest.approx(0.5)
    assert set(found["P@10"].baselines) == {WHOLE, AS_FOUND}
    assert found["hit"].encoder.mean > 0.9
    assert found["IoU"].encoder.mean > 0.5
    assert found["IoU"].encoder.mean > found["IoU"].baselines[ANYWHERE].mean + 0.2
    assert found["hit"].queries == 6


def test_where_nothing_has_a_mask_nothing_is_measured(benchmark: Benchmark, encoder: OnnxEncoder) -> None:
    bare = benchmark.where(lambda image: not image.mask)
    assert measured(bare, encoder) == {}


def test_a_rectangle_is_around_what_is_marked() -> None:
    mask = np.zeros((10, 20), dtype=np.float32)
    assert bounding(mask) is None
    mask[2:4, 5:15] = 1
    assert bounding(mask) == Region(0.25, 0.2, 0.5, 0.2)


def test_overlap_is_intersection_over_union() -> None:
    one = Region(0.0, 0.0, 0.5, 0.5)
    assert overlap(one, one) == 1
    assert overlap(one, Region(0.5, 0.5, 0.5, 0.5)) == 0
    assert overlap(one, Region(0.25, 0.0, 0.5, 0.5)) == pytest.approx(1 / 3)
