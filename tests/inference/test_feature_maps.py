"""Feature maps of frames in DICOM files: where in a frame something is, whatever was done to its shape."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.domain import FeatureMap, MatchMap, Region
from indexer.errors import NotFound, Rejected
from indexer.search.match_maps import contributions, match_maps
from inference.decoders import Decoders
from inference.embedding import SeriesEmbedder
from inference.encoder import OnnxEncoder
from inference.feature_maps import CROPS, averaged
from inference.preprocess import Resize
from tests.fakes.brightness_encoder import CELLS, LEVELS, write_brightness_encoder
from tests.fakes.encoders import write_encoder
from tests.fakes.instance_file import instance, write
from tests.inference.conftest import pseudonym

RADIOLOGY = Path(__file__).parents[2] / "models" / "radiology-small"


def frame_with_square(
    rows: int, columns: int, left: float, top: float, ground: int = 36
) -> NDArray[np.uint8]:
    """Dark grey, with a white square of a fifth of each side whose corner is at these fractions."""
    frame = np.full((rows, columns), ground, dtype=np.uint8)
    frame[
        round(top * rows) : round((top + 0.2) * rows), round(left * columns) : round((left + 0.2) * columns)
    ] = 255
    return frame


def middle_of_the_brightest(seen: FeatureMap | MatchMap) -> tuple[float, float]:
    """The middle of the cell that is whitest, in fractions of the frame."""
    values = seen.cells[..., LEVELS - 1] if isinstance(seen, FeatureMap) else seen.values
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    rows, columns = values.shape
    area = seen.area
    x = area.left + (int(column) + 0.5) / columns * area.width
    y = area.top + (int(row) + 0.5) / rows * area.height
    return x, y


@pytest.fixture
def embedder(tmp_path: Path, decoders: Decoders) -> SeriesEmbedder:
    return SeriesEmbedder(OnnxEncoder(write_brightness_encoder(tmp_path / "brightness")), decoders, pseudonym)


@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize(("rows", "columns"), [(90, 90), (60, 120), (120, 60)])
@pytest.mark.parametrize("spacing", [None, [2.0, 1.0], [1.0, 2.0]])
def test_a_white_square_is_found_where_it_is(
    tmp_path: Path, decoders: Decoders, resize: Resize, rows: int, columns: int, spacing: list[float] | None
) -> None:
    encoder = OnnxEncoder(write_brightness_encoder(tmp_path / "brightness", resize=resize))
    embedder = SeriesEmbedder(encoder, decoders, pseudonym)
    frame = frame_with_square(rows, columns, 0.35, 0.45)
    path = write(instance(frame, PixelSpacing=spacing), tmp_path / "square.dcm")
    (seen,) = embedder.feature_maps(path, [1])
    assert seen.cells.shape == (CELLS, CELLS, LEVELS)
    assert seen.encoder == encoder.version
    x, y = middle_of_the_brightest(seen)
    assert 0.34 < x < 0.56
    assert 0.44 < y < 0.66


def test_the_cells_of_a_letterboxed_frame_reach_beyond_it(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    path = write(instance(frame_with_square(60, 120, 0.1, 0.1)), tmp_path / "wide.dcm")
    (seen,) = embedder.feature_maps(path, [1])
    assert seen.area == Region(0.0, -0.5, 1.0, 2.0)


def test_the_mean_of_the_cells_is_the_vector_of_the_frame(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    path = write(instance(frame_with_square(60, 120, 0.1, 0.6)), tmp_path / "frame.dcm")
    (seen,) = embedder.feature_maps(path, [1])
    (embedded,) = embedder.embed_files([path])
    mean = seen.cells.mean(axis=(0, 1))
    np.testing.assert_allclose(mean / np.linalg.norm(mean), embedded.vector, atol=1e-5)


def test_frames_come_in_the_order_asked(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    frames = np.stack([frame_with_square(60, 60, left, 0.4) for left in (0.1, 0.4, 0.7)])
    path = write(instance(frames), tmp_path / "frames.dcm")
    found = [middle_of_the_brightest(seen)[0] for seen in embedder.feature_maps(path, [3, 1])]
    assert found == pytest.approx([0.8, 0.2], abs=0.07)
    with pytest.raises(NotFound):
        embedder.feature_maps(path, [4])
    with pytest.raises(NotFound):
        embedder.feature_maps(path, [0])


def test_an_encoder_without_a_usable_map_is_shown_overlapping_crops(
    tmp_path: Path, decoders: Decoders
) -> None:
    encoder = OnnxEncoder(write_encoder(tmp_path, "squares", side=8))
    assert not encoder.has_cells
    embedder = SeriesEmbedder(encoder, decoders, pseudonym)
    path = write(instance(frame_with_square(60, 120, 0.7, 0.1)), tmp_path / "frame.dcm")
    (seen,) = embedder.feature_maps(path, [1])
    assert seen.cells.shape == (CROPS, CROPS, 64)
    assert seen.area == Region(0.0, 0.0, 1.0, 1.0)
    empty = np.abs(seen.cells).sum(axis=2) == 0
    assert empty[3:].all(), "a crop that shows nothing has no vector"
    assert empty[:, :2].all()
    assert not empty[0, 3:].any()


def test_a_map_with_channels_of_its_own_is_not_taken_for_the_embedding(tmp_path: Path) -> None:
    folder = write_brightness_encoder(tmp_path / "brightness")
    assert OnnxEncoder(folder).has_cells
    assert not OnnxEncoder(write_encoder(tmp_path, "squares")).has_cells


def test_a_frame_without_a_vector_has_no_map(tmp_path: Path, decoders: Decoders) -> None:
    encoder = OnnxEncoder(write_encoder(tmp_path, "squares", side=8))
    path = write(instance(np.full((30, 30), 7, dtype=np.uint8)), tmp_path / "flat.dcm")
    with pytest.raises(Rejected) as refused:
        SeriesEmbedder(encoder, decoders, pseudonym).feature_maps(path, [1])
    assert refused.value.reason == "degenerate_vector"


def test_averaging_cells_down_keeps_their_mean() -> None:
    cells = np.random.default_rng(0).random((37, 50, 3), dtype=np.float32)
    fewer = averaged(cells, 10, 32)
    assert fewer.shape == (10, 32, 3)
    np.testing.assert_allclose(fewer.mean(axis=(0, 1)), cells.mean(axis=(0, 1)), atol=1e-5)


def test_covering_the_square_loses_most_of_the_likeness(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    one = write(instance(frame_with_square(60, 120, 0.15, 0.2)), tmp_path / "one.dcm")
    other = write(instance(frame_with_square(60, 60, 0.6, 0.6, ground=110)), tmp_path / "other.dcm")
    first, second = embedder.occlusion_maps((one, other), (1, 1))
    assert first.values.max() == second.values.max() == 1
    assert first.values.min() == 0
    assert first.area == Region(0.0, -0.5, 1.0, 2.0)
    x, y = middle_of_the_brightest(first)
    assert x == pytest.approx(0.25, abs=0.15)
    assert y == pytest.approx(0.3, abs=0.25)
    assert middle_of_the_brightest(second) == pytest.approx((0.7, 0.7), abs=0.15)


def test_the_cosine_of_two_frames_is_the_sum_over_cells_with_the_default_encoder(
    tmp_path: Path, decoders: Decoders
) -> None:
    embedder = SeriesEmbedder(OnnxEncoder(RADIOLOGY, threads=1), decoders, pseudonym)
    rng = np.random.default_rng(3)
    frames = [np.kron(rng.integers(0, 255, (8, 8)), np.ones((20, 30))).astype(np.uint8) for _ in range(2)]
    paths = [write(instance(frame), tmp_path / f"{n}.dcm") for n, frame in enumerate(frames)]
    (one,), (other,) = (embedder.feature_maps(path, [1]) for path in paths)
    (a,), (b,) = (embedder.embed_files([path]) for path in paths)
    first, second = contributions(one, other)
    cosine = float(a.vector @ b.vector)
    assert first.sum() == pytest.approx(cosine, abs=1e-5)
    assert second.sum() == pytest.approx(cosine, abs=1e-5)
    shown, _ = match_maps(one, other)
    assert (shown.values.min() >= 0, shown.values.max()) == (True, 1)
