from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cbir.command import app
from evaluation.benchmark import Benchmark
from evaluation.vectors import ImageVectors
from indexer.errors import CbirError
from tests.fakes.benchmark import shapes
from tests.fakes.brightness_encoder import write_brightness_encoder
from tests.fakes.text_tower import add_text_tower
from tests.inference.conftest import GREY32


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return shapes(tmp_path / "bench")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """grey32 with a text tower, under a name of its own."""
    axes = np.eye(1024, dtype=np.float32)
    folder = Path(shutil.copytree(GREY32, tmp_path / "encoder"))
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"name": "with-text"}))
    return add_text_tower(folder, {"square": axes[0], "cross": axes[1]})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "200"})


def refusal(*arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, CbirError), result.output
    return str(result.exception)


def test_a_benchmark_is_embedded_scored_and_reported(
    benchmark: Benchmark, encoder: Path, tmp_path: Path
) -> None:
    out, vectors = tmp_path / "report", tmp_path / "vectors.npz"
    result = run(
        benchmark.folder, "--encoder", encoder, "--baseline", GREY32, "--vectors", vectors, "--out", out,
        "--sampled", 4, "--threads", 1,
    )  # fmt: skip
    assert result.exception is None, result.output
    assert "made finding" in result.output
    written = json.loads((out / "figures.json").read_text())
    finding = next(f for f in written["figures"] if (f["task"], f["measure"]) == ("made finding", "P@10"))
    assert set(finding["baselines"]) == {"pixel", "grey32"}
    assert finding["gains"]["grey32"]["mean"] == 0
    assert any(f["measure"] == "t2i_R@10" for f in written["figures"])
    assert (out / "grid-made.png").is_file()
    stored = ImageVectors.read(vectors)
    assert stored.caption == ("a square", "a cross")
    assert len(stored.image) == len(benchmark)


def test_match_maps_and_regions_are_measured_where_they_are_asked_for(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    folder, out = write_brightness_encoder(tmp_path / "brightness"), tmp_path / "report"
    result = run(
        benchmark.folder, "--encoder", folder, "--sampled", 0, "--maps", 3, "--threads", 1, "--out", out
    )
    assert result.exception is None, result.output
    assert "not compared with those of random weights" not in result.output
    written = json.loads((out / "figures.json").read_text())
    measures = {f["measure"]: f for f in written["figures"] if f["family"] in ("maps", "regions")}
    assert {"deletion AUC", "insertion AUC", "with random weights", "P@10", "IoU", "hit"} <= measures.keys()
    assert measures["hit"]["baselines"].keys() == {"random place"}
    assert measures["insertion AUC"]["queries"] == 3
    for name in ("map-curves", "map-pairs"):
        assert (out / f"{name}.png").is_file()
    assert "Match maps" in (out / "report.html").read_text()


def test_an_encoder_without_weights_has_maps_without_that_check(benchmark: Benchmark) -> None:
    result = run(benchmark.folder, "--encoder", GREY32, "--sampled", 0, "--maps", 1, "--threads", 1)
    assert result.exception is None, result.output
    assert "not compared with those of random weights" in result.output
    assert "insertion AUC" in result.output


def test_vectors_may_be_a_baseline_if_they_are_of_these_images(benchmark: Benchmark, tmp_path: Path) -> None:
    names = tuple(image.image for image in benchmark.images)
    vectors = ImageVectors(names, np.random.default_rng(0).normal(size=(len(names), 4)).astype(np.float32))
    vectors.write(tmp_path / "other.npz")
    result = run(benchmark.folder, "--encoder", GREY32, "--baseline", tmp_path / "other.npz", "--sampled", 0)
    assert result.exception is None, result.output
    assert "above other" in result.output
    ImageVectors(names[1:], vectors.vector[1:]).write(tmp_path / "fewer.npz")
    said = refusal(benchmark.folder, "--encoder", GREY32, "--baseline", tmp_path / "fewer.npz")
    assert "vectors of other images" in said


def test_a_folder_that_is_no_encoder_is_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    assert "encoder is a folder" in refusal(benchmark.folder, "--encoder", tmp_path)


def test_a_data_set_that_is_not_there_is_refused(benchmark: Benchmark) -> None:
    said = refusal(benchmark.folder, "--encoder", GREY32, "--dataset", "unheard-of")
    assert "has no data set" in said


def test_two_encoders_of_one_name_are_refused(benchmark: Benchmark) -> None:
    assert "called grey32" in refusal(benchmark.folder, "--encoder", GREY32, "--baseline", GREY32)


def test_a_benchmark_or_the_archive_must_be_named(benchmark: Benchmark) -> None:
    assert "--archive" in refusal()
    assert "--archive" in refusal(benchmark.folder, "--archive")
    assert "--encoder" in refusal(benchmark.folder)
    assert "in use" in refusal("--archive", "--encoder", GREY32)
