from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.benchmark import Benchmark
from evaluation.benchmark_report import Contestant, Wanted, benchmark_comparisons, benchmark_report
from evaluation.embedding import embed_images, pixel_embedding
from evaluation.grids import RIGHT, WRONG, Tile, retrieval_grid, typical_queries
from evaluation.measurement import Comparison
from evaluation.plots import OTHERS, confusion, tsne_map
from evaluation.report import Report
from evaluation.scoring import Scorer
from evaluation.vectors import ImageVectors
from tests.fakes.benchmark import row, shape, shapes, write_benchmark


class Addresses(HTMLParser):
    """What a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def report_of(benchmark: Benchmark, *, pictures: bool = True) -> Report:
    rng = np.random.default_rng(0)
    names = tuple(image.image for image in benchmark.images)
    other = ImageVectors(names, rng.normal(size=(len(names), 8)).astype(np.float32))
    encoder = Contestant("pixel", embed_images(benchmark, pixel_embedding), pixel_embedding, "32 x 32")
    baselines = [Contestant("random <b>", other, None, "made")]
    scorer, wanted = Scorer(benchmark), Wanted(sampled=4, pictures=pictures)
    comparisons: tuple[Comparison, ...] = benchmark_comparisons(scorer, encoder, baselines, wanted)
    return benchmark_report(scorer, encoder, baselines, comparisons, wanted, {"Benchmark": "made"})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(shapes(tmp_path_factory.mktemp("bench")))


def test_the_page_needs_nothing_but_itself(report: Report) -> None:
    addresses = Addresses()
    page = report.as_html()
    addresses.feed(page)
    assert len(addresses.found) == len(report.pictures) == 4
    assert all(address.startswith("data:image/png;base64,") for address in addresses.found)
    assert "random &lt;b&gt;" in page
    assert "random <b>" not in page


def test_the_page_says_what_was_measured_and_how(report: Report) -> None:
    page = report.as_html()
    for wanted in ("permissive", "patient", "bootstrap over subjects", "own subject", "Effective rank"):
        assert wanted in page


def test_the_page_says_that_it_is_not_for_diagnosis(report: Report) -> None:
    assert "Not for diagnosis" in report.as_html().split("</header>")[0]


def test_figures_and_pictures_lie_beside_it(report: Report, tmp_path: Path) -> None:
    assert report.write(tmp_path) == tmp_path / "report.html"
    written = json.loads((tmp_path / "figures.json").read_text())
    finding = next(f for f in written["figures"] if (f["task"], f["measure"]) == ("made finding", "P@10"))
    assert set(finding) >= {"chance", "encoder", "baselines", "gains", "queries", "subjects"}
    assert finding["encoder"]["low"] <= finding["encoder"]["mean"] <= finding["encoder"]["high"]
    assert set(written["spread"]) == {"pixel", "random <b>"}
    for picture in report.pictures:
        with Image.open(tmp_path / f"{picture.name}.png") as drawn:
            assert drawn.width > 300


def test_without_pictures_the_figures_are_there_all_the_same(tmp_path: Path) -> None:
    report = report_of(shapes(tmp_path), pictures=False)
    assert report.pictures == ()
    assert "made finding" in report.as_html()


def test_an_image_without_a_vector_is_told(tmp_path: Path) -> None:
    rows = [row(f"{i}.png", f"s{i}", finding=("square", "cross")[i % 2], modality="MR") for i in range(12)]
    pixels = [shape(("square", "cross")[i % 2], i) for i in range(11)] + [np.full((48, 48), 0.5, np.float32)]
    report = report_of(write_benchmark(tmp_path, rows, pixels), pictures=False)
    assert any("1 images have no vector" in note for note in report.notes)


def test_confusion_counts_the_neighbours_of_each_label() -> None:
    label = np.array(["a", "a", "b", "rare"])
    nearest = [np.array(["a", "b"]), np.array(["a", "rare"]), np.array(["b", "b"]), np.array(["a", "a"])]
    share = confusion(label, nearest, ["a", "b", OTHERS])
    wanted = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(share, wanted)


def test_frames_are_green_where_the_label_is_right() -> None:
    tiles = [
        Tile(shape("square", 0), "a"),
        Tile(shape("square", 1), "a", True),
        Tile(shape("cross", 2), "b", False),
    ]
    colours = set(
        map(tuple, np.asarray(Image.open(io.BytesIO(retrieval_grid([tiles])))).reshape(-1, 3).tolist())
    )
    assert {RIGHT, WRONG} <= colours


def test_queries_are_shown_by_turns_and_neither_best_nor_worst() -> None:
    label = np.array(list("aaaaab"))
    assert typical_queries(label, np.array([0, 0.2, 0.5, 0.8, 1, 0.3]), 3)[:2] == [2, 5]


def test_a_map_is_drawn_of_few_points_too() -> None:
    rng = np.random.default_rng(0)
    png = tsne_map(rng.normal(size=(12, 40)).astype(np.float32), np.array(list("ab") * 6))
    assert Image.open(io.BytesIO(png)).format == "PNG"
