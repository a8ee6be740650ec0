from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.concepts import concepts_in_texts
from evaluation.embedding import embed_images, pixel_embedding
from evaluation.errors import BenchmarkError
from evaluation.measurement import Measurement, compare
from evaluation.scoring import Scorer
from evaluation.tasks import label_tasks
from evaluation.vectors import ImageVectors
from tests.fakes.benchmark import row, shape, shapes, write_benchmark


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return shapes(tmp_path_factory.mktemp("bench"))


def by_key(measured: tuple[Measurement, ...]) -> dict[tuple[str, str], Measurement]:
    return {(m.task, m.measure): m for m in measured}


def of_findings(benchmark: Benchmark) -> ImageVectors:
    """What a perfect encoder of findings would give, and captions in its space."""
    vector = np.array([[1, 0] if image.finding == "square" else [0, 1] for image in benchmark.images])
    return ImageVectors(
        image=tuple(image.image for image in benchmark.images),
        vector=vector.astype(np.float32),
        caption=("a square", "a cross"),
        caption_vector=np.eye(2, dtype=np.float32),
    )


def test_a_perfect_encoder_has_perfect_figures(benchmark: Benchmark) -> None:
    concepts = concepts_in_texts(benchmark, lambda text: frozenset(text.split()) - {"a"})
    found = by_key(Scorer(benchmark, concepts).score(of_findings(benchmark)))
    assert found["made finding", "P@10"].mean == 1
    assert found["made finding", "P@10"].chance == pytest.approx(10 / 22)
    assert found["made finding", "mAP@10"].mean == 1
    assert found["made image<->caption", "i2t_R@1"].mean == 1
    assert found["made image<->caption", "t2i_MRR"].mean == 1
    assert found["made concepts", "CUI@5"].mean == 1
    assert found["made view_or_sequence", "P@10"].mean < 0.6
    assert found["made mask IoU, other sequence", "nDCG@10"].mean > 0.4


def test_the_same_subject_is_found_by_its_pixels(benchmark: Benchmark) -> None:
    found = by_key(Scorer(benchmark).score(embed_images(benchmark, pixel_embedding)))
    again = found["made same patient, other series", "P@1"]
    assert again.mean == 1
    assert again.chance == pytest.approx(1 / 23)


def test_a_space_that_has_collapsed_is_seen_by_its_ties(benchmark: Benchmark) -> None:
    given = of_findings(benchmark)
    assert ("made image<->caption", "i2t_tied") not in by_key(Scorer(benchmark).score(given))
    collapsed = replace(given, caption_vector=np.ones((2, 2), dtype=np.float32))
    found = by_key(Scorer(benchmark).score(collapsed))
    assert found["made image<->caption", "i2t_R@1"].mean == 1
    assert found["made image<->caption", "i2t_tied"].mean == 1
    assert found["made image<->caption", "t2i_tied"].mean == 1


def test_series_of_one_name_are_each_subjects_own(benchmark: Benchmark) -> None:
    places: dict[str, int] = {}
    named = []
    for image in benchmark.images:
        places[image.subject] = places.get(image.subject, 0) + 1
        named.append(replace(image, series=f"series {places[image.subject]}"))
    vectors = embed_images(benchmark, pixel_embedding)
    key = "made same patient, other series", "P@1"
    again = by_key(Scorer(replace(benchmark, images=tuple(named))).score(vectors))[key]
    assert again.chance == by_key(Scorer(benchmark).score(vectors))[key].chance == pytest.approx(1 / 23)


def test_figures_stand_beside_chance_and_others(benchmark: Benchmark) -> None:
    scorer = Scorer(benchmark)
    perfect = scorer.score(of_findings(benchmark))
    pixel = scorer.score(embed_images(benchmark, pixel_embedding))
    table = {(c.task, c.measure): c for c in compare(perfect, {"pixel": pixel})}
    finding = table["made finding", "P@10"]
    assert finding.gains["pixel"].mean == pytest.approx(1 - finding.baselines["pixel"].mean)
    assert finding.gains["pixel"].is_above_zero
    assert (finding.queries, finding.subjects) == (24, 12)
    assert table["made image<->caption", "t2i_R@1"].baselines == {}


def test_vectors_of_other_images_are_refused(benchmark: Benchmark) -> None:
    given = of_findings(benchmark)
    fewer = ImageVectors(given.image[1:], given.vector[1:])
    with pytest.raises(BenchmarkError, match="of other images"):
        Scorer(benchmark).score(fewer)
    twice = ImageVectors((*given.image, given.image[0]), np.concatenate([given.vector, given.vector[:1]]))
    with pytest.raises(BenchmarkError, match="two vectors"):
        Scorer(benchmark).score(twice)


def test_a_set_whose_labels_tell_nothing_apart_is_refused(tmp_path: Path) -> None:
    rows = [row(f"{i}.png", f"s{i}", finding="square", modality="MR") for i in range(12)]
    benchmark = write_benchmark(tmp_path, rows, [shape("square", i) for i in range(12)])
    with pytest.raises(BenchmarkError, match="Is the set labelled"):
        Scorer(benchmark)


def test_a_finding_that_is_each_cases_own_is_not_asked_for(tmp_path: Path) -> None:
    rows = [
        row(f"{i}.png", f"s{i}", finding=f"rare {i}", modality="MR", plane=("Axial", "Coronal")[i % 2])
        for i in range(12)
    ]
    benchmark = write_benchmark(tmp_path, rows, [shape("square", i) for i in range(12)])
    assert [task.name for task in label_tasks(benchmark)] == ["made plane"]


@pytest.mark.shared_data
def test_the_figures_are_those_of_the_reference_script(tmp_path: Path) -> None:
    """On made vectors with many ties: small whole numbers in few dimensions."""
    named = os.environ.get("CBIR_TEST_DATA")
    if not named:
        pytest.skip("CBIR_TEST_DATA names no benchmark images")
    script = Path(named).parent / "tools" / "retrieval_score.py"
    every = Benchmark.open(Path(named) / "bench")
    benchmark = every.at([i for i, image in enumerate(every.images) if i % 4 == 0 and image.modality != "OP"])
    rng = np.random.default_rng(0)
    captions = tuple(dict.fromkeys(i.caption for i in benchmark.images if i.caption))
    given = ImageVectors(
        image=tuple(image.image for image in benchmark.images),
        vector=rng.integers(-2, 3, (len(benchmark), 6)).astype(np.float32),
        caption=captions,
        caption_vector=rng.integers(-2, 3, (len(captions), 6)).astype(np.float32),
    )
    given.write(tmp_path / "vectors.npz")
    subprocess.run(
        [sys.executable, script, benchmark.folder, tmp_path / "vectors.npz", "--json", tmp_path / "out.json"],
        check=True,
        capture_output=True,
    )
    wanted = json.loads((tmp_path / "out.json").read_text())
    found = by_key(Scorer(benchmark).score(given))
    assert len(wanted) >= 14
    for task, figures in wanted.items():
        assert_same(task, figures, found)


def assert_same(task: str, figures: dict[str, float], found: dict[tuple[str, str], Measurement]) -> None:
    compared = 0
    for name, value in figures.items():
        if (task, name) in found:
            assert found[task, name].mean == pytest.approx(value, abs=1e-6), (task, name)
            compared += 1
    assert compared == sum("@" in name and "_lo" not in name and "_hi" not in name for name in figures) + sum(
        "MRR" in name for name in figures
    )
    if "P@10" in figures:
        measured = found[task, "P@10"]
        assert measured.interval.low == pytest.approx(figures["P@10_lo"], abs=1e-6)
        assert measured.interval.high == pytest.approx(figures["P@10_hi"], abs=1e-6)
        assert measured.chance == pytest.approx(figures["chance"], abs=1e-6)
