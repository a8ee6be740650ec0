"""Match maps are measured: a good order of patches is told from a random one, what is learned from edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.deletion import STEPS
from evaluation.embedding import FrameEmbedding, embed_images
from evaluation.errors import BenchmarkError
from evaluation.map_pictures import curves_plot, maps_plot, over_frame
from evaluation.match_maps import (
    FEATURES,
    OCCLUSION,
    RANDOM,
    MapFigures,
    Pair,
    map_figures,
    nearest_pairs,
    patch_values,
)
from evaluation.measurement import Comparison
from evaluation.random_weights import randomise
from indexer.domain import MatchMap, Region
from inference.card import load_card
from inference.encoder import OnnxEncoder
from inference.preprocess import Pixels
from tests.fakes.benchmark import shapes
from tests.fakes.brightness_encoder import write_brightness_encoder
from tests.fakes.encoders import write_encoder

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    return OnnxEncoder(
        write_brightness_encoder(tmp_path_factory.mktemp("encoders") / "brightness"), threads=1
    )


def with_square(row: int, column: int, ground: float) -> Pixels:
    """A white square, the only thing that frames of different grounds have in common."""
    frame = np.full((56, 56), ground, dtype=np.float32)
    frame[row : row + 16, column : column + 16] = 1.0
    return frame


@pytest.fixture(scope="module")
def figures(encoder: OnnxEncoder, tmp_path_factory: pytest.TempPathFactory) -> MapFigures:
    folder = write_brightness_encoder(tmp_path_factory.mktemp("encoders") / "brightness")
    randomised = OnnxEncoder(randomise(folder, folder.parent / "random", seed=1), threads=1)
    pairs = [
        Pair(with_square(row, 8, 0.28), with_square(30, column, 0.57), f"s{row}{column}")
        for row in (0, 16, 40)
        for column in (0, 24)
    ]
    return map_figures(encoder, randomised, pairs)


def figure(figures: MapFigures, measure: str) -> Comparison:
    (found,) = (one for one in figures.comparisons if one.measure == measure)
    return found


def test_the_order_of_the_map_beats_a_random_one(figures: MapFigures) -> None:
    deletion, insertion = figure(figures, "deletion AUC"), figure(figures, "insertion AUC")
    assert deletion.encoder.mean < 0.5 * deletion.baselines[RANDOM].mean
    assert insertion.encoder.mean > 1.2 * insertion.baselines[RANDOM].mean
    assert set(deletion.baselines) == {OCCLUSION, RANDOM}
    assert deletion.subjects == 6


def test_the_curves_run_from_the_whole_frame_to_none_of_it(figures: MapFigures) -> None:
    for curves in figures.curves:
        assert curves.deletion.shape == curves.insertion.shape == (6, STEPS + 1)
        np.testing.assert_allclose(curves.deletion[:, 0], curves.insertion[:, -1], atol=1e-6)
        np.testing.assert_allclose(curves.deletion[:, -1], curves.insertion[:, 0], atol=1e-6)
    assert [curves.order for curves in figures.curves] == [FEATURES, OCCLUSION, RANDOM]


def test_the_map_agrees_with_occlusion_and_its_curves_are_drawn(figures: MapFigures) -> None:
    assert figure(figures, "rank correlation with occlusion").encoder.mean > 0.2
    assert curves_plot(figures.curves).startswith(b"\x89PNG")


def test_the_map_of_a_model_with_random_weights_is_another(tmp_path: Path) -> None:
    folder = MODELS / "radiology-small"
    randomised = OnnxEncoder(randomise(folder, tmp_path / "random"), threads=1)
    assert randomised.version != load_card(folder).encoder_version
    assert randomised.has_cells
    pairs = [Pair(with_square(4, 4, 0.2), with_square(30, 30, 0.2), "s1")]
    found = figure(map_figures(OnnxEncoder(folder, threads=1), randomised, pairs), "with random weights")
    assert found.encoder.mean < 0.95
    assert found.baselines[OCCLUSION].mean < 0.6


def test_a_model_without_weights_cannot_be_made_random(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no weights"):
        randomise(write_encoder(tmp_path, "squares"), tmp_path / "random")


def test_a_patch_has_the_value_of_the_map_where_it_lies() -> None:
    found = MatchMap(np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32), Region(0, 0, 1, 1))
    wide = patch_values(found, Region(0, -0.5, 1, 2), patches=4)
    np.testing.assert_allclose(wide[1], [0.1, 0.1, 0.2, 0.2])
    np.testing.assert_allclose(wide[2], [0.3, 0.3, 0.4, 0.4])


def test_a_map_is_laid_over_its_frame_without_the_bars() -> None:
    values = np.zeros((4, 4), dtype=np.float32)
    values[1, 0] = 1.0
    over = over_frame(MatchMap(values, Region(0, -0.5, 1, 2)), 40, 80)
    assert over.shape == (40, 80)
    row, column = np.unravel_index(int(over.argmax()), over.shape)
    assert row < 12
    assert column < 12


def test_pairs_are_the_nearest_of_other_subjects(encoder: OnnxEncoder, tmp_path: Path) -> None:
    benchmark: Benchmark = shapes(tmp_path / "bench", subjects=6)
    vectors = embed_images(benchmark, FrameEmbedding(encoder)).vector
    pairs = nearest_pairs(benchmark, vectors, 5)
    assert len(pairs) == 5
    assert nearest_pairs(benchmark, vectors, 5)[0].subject == pairs[0].subject
    for pair in pairs:
        assert not np.array_equal(pair.one, pair.other)
    assert maps_plot(encoder, pairs[:1]).startswith(b"\x89PNG")
