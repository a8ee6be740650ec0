from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from evaluation.embedding import FrameEmbedding, embed_images, pixel_embedding, with_captions
from inference.encoder import OnnxEncoder
from inference.text import TextEncoder
from tests.fakes.benchmark import shapes
from tests.fakes.text_tower import add_text_tower
from tests.inference.conftest import GREY32


def test_every_image_gets_the_encoders_vector_in_the_tables_order(tmp_path: Path) -> None:
    benchmark, told = shapes(tmp_path, subjects=20), list[int]()
    vectors = embed_images(benchmark, FrameEmbedding(OnnxEncoder(GREY32, threads=1)), told.append)
    assert vectors.image == tuple(image.image for image in benchmark.images)
    assert vectors.vector.shape == (40, 1024)
    assert told == [32, 8]
    np.testing.assert_allclose(np.linalg.norm(vectors.vector, axis=1), 1, atol=1e-5)


def test_the_pixel_floor_is_what_grey32_computes(tmp_path: Path) -> None:
    benchmark = shapes(tmp_path)
    encoder = FrameEmbedding(OnnxEncoder(GREY32, threads=1), batch_size=5)
    np.testing.assert_allclose(
        embed_images(benchmark, pixel_embedding).vector, embed_images(benchmark, encoder).vector, atol=1e-5
    )


def test_a_flat_frame_has_no_pixel_vector() -> None:
    assert not pixel_embedding([np.full((20, 30), 0.4, dtype=np.float32)]).any()


def test_captions_are_embedded_once_each(tmp_path: Path) -> None:
    benchmark = shapes(tmp_path / "bench")
    axes = np.eye(1024, dtype=np.float32)
    folder = add_text_tower(
        Path(shutil.copytree(GREY32, tmp_path / "encoder")), {"square": axes[0], "cross": axes[1]}
    )
    images = embed_images(benchmark, pixel_embedding)
    both = with_captions(images, benchmark, TextEncoder(folder, threads=1))
    assert both.caption == ("a square", "a cross")
    assert both.caption_vector is not None
    np.testing.assert_allclose(both.caption_vector[:, :2], np.eye(2), atol=1e-6)
    none = benchmark.where(lambda image: image.image.startswith("00"))
    assert with_captions(images, none, TextEncoder(folder, threads=1)).caption == ("a square",)


def test_no_frame_gives_no_vector() -> None:
    assert FrameEmbedding(OnnxEncoder(GREY32, threads=1))([]).shape == (0, 1024)
