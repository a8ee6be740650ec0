"""Directions are made from what may be shipped, and their limits from subjects that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cbir.command import app
from evaluation.benchmark import Benchmark
from evaluation.embedding import FrameEmbedding, embed_images
from evaluation.errors import BenchmarkError
from evaluation.known_split import is_held_out
from indexer.domain import Vector
from inference.card import load_card
from inference.encoder import OnnxEncoder
from inference.known import load_known
from inference.preprocess import Pixels
from tests.fakes.benchmark import row, shape, write_benchmark
from tests.fakes.encoders import write_encoder
from training.errors import TrainingError
from training.known import KnownSettings, described, make_known, write_known

SETTINGS = KnownSettings(directions=4, false_refusals=0.1)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Squares and crosses that may be shipped, crosses that may not, and an eye."""
    kinds = [("square", "MR", "brain"), ("cross", "CR", "chest")]
    rows, pixels = [], []
    for number in range(60):
        kind, modality, body_part = kinds[number % 2]
        about = {"modality": modality, "body_part": body_part}
        rows.append(row(f"{number}.png", f"s{number}", **about))
        pixels.append(shape(kind, number))
    rows.append(row("nc.png", "nc", modality="MR", body_part="brain", licence_class="nc"))
    rows.append(row("eye.png", "eye", modality="OP", body_part="eye"))
    pixels += [shape("cross", 100), shape("cross", 101)]
    return write_benchmark(tmp_path_factory.mktemp("bench"), rows, pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoders", "knowing", side=8)


def test_about_the_wanted_share_of_held_out_subjects_is_below_the_least(
    benchmark: Benchmark, folder: Path
) -> None:
    embed = FrameEmbedding(OnnxEncoder(folder, threads=1))
    known = make_known(benchmark, embed, SETTINGS)
    assert known.prototypes.shape == (4, 64)
    assert np.linalg.norm(known.prototypes, axis=1) == pytest.approx(1, abs=1e-5)
    held_out = benchmark.where(lambda image: is_held_out(image) and image.image not in ("nc.png", "eye.png"))
    below = known.known_by(embed_images(held_out, embed).vector) < known.least
    assert below.mean() == pytest.approx(0.1, abs=0.1)


def test_what_may_not_be_shipped_and_what_is_no_radiology_is_never_looked_at(
    benchmark: Benchmark, folder: Path
) -> None:
    embed = FrameEmbedding(OnnxEncoder(folder, threads=1))
    seen = 0

    def counting(frames: Sequence[Pixels]) -> Vector:
        nonlocal seen
        seen += sum(frame.shape == (48, 48) for frame in frames)
        return embed(frames)

    make_known(benchmark, counting, SETTINGS)
    assert seen == 60
    assert "of made;" in described(benchmark, SETTINGS)


def test_too_few_images_are_told(benchmark: Benchmark, folder: Path) -> None:
    embed = FrameEmbedding(OnnxEncoder(folder, threads=1))
    with pytest.raises(BenchmarkError, match="too few"):
        make_known(benchmark, embed, replace(SETTINGS, directions=500))


def test_another_encoders_directions_are_not_written(benchmark: Benchmark, folder: Path) -> None:
    wider = write_encoder(folder.parent, "wider", side=12)
    known = make_known(benchmark, FrameEmbedding(OnnxEncoder(wider, threads=1)), SETTINGS)
    with pytest.raises(TrainingError, match="dimensions"):
        write_known(folder, known, "a test")


def test_the_command_makes_an_encoder_say_what_it_knows(benchmark: Benchmark, folder: Path) -> None:
    before = load_card(folder)
    asked = ["train", "known", str(benchmark.folder), str(folder), "--directions", "4", "--threads", "1"]
    answered = CliRunner().invoke(app, asked)
    assert answered.exit_code == 0, answered.output
    assert "4 directions" in answered.output
    card = load_card(folder)
    known = load_known(folder, card)
    assert known is not None
    assert len(known.prototypes) == 4
    assert card.encoder_version == before.encoder_version
    assert card.model_copy(update={"known": None}) == before
