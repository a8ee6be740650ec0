"""Refusal is measured with the judge that answers, on images that nothing was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.archive_judging import JudgedArchive
from evaluation.benchmark import Benchmark, LabelledImage
from evaluation.known_split import is_held_out, is_radiology
from evaluation.measurement import REFUSAL, Comparison
from evaluation.outsiders import EXEMPLARY, NOISES, noise, photograph_crops
from evaluation.refusal import EYE, NOISE, PHOTOGRAPHS, auroc, auroc_interval, refusal_comparisons
from evaluation.reliability import reliability_comparisons
from indexer.domain import SeriesAttributes, Vector
from indexer.search.knowing import Known
from inference.preprocess import Pixels
from tests.fakes.benchmark import row

DIMENSION = 16


def unit(rows: Vector) -> Vector:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def around(axis: int, count: int, seed: int, spread: float = 0.12) -> Vector:
    """Unit rows near one axis."""
    rng = np.random.default_rng(seed)
    return unit(np.eye(DIMENSION, dtype=np.float32)[axis] + spread * rng.normal(size=(count, DIMENSION)))


def images(modality: str, body_part: str, count: int, **labels: str) -> list[LabelledImage]:
    return [
        row(f"{modality}-{body_part}-{n}", f"{modality}{n}", modality=modality, body_part=body_part, **labels)
        for n in range(count)
    ]


def made(eye: int = 12, licence_class: str = "permissive") -> tuple[Benchmark, Vector]:
    """Brains, chests and, unlike both, photographs of the eye; vectors without any pixel."""
    rows = [
        *images("MR", "brain", 60, licence_class=licence_class),
        *images("CR", "chest", 60),
        *images("OP", "eye", eye),
    ]
    vectors = [around(0, 60, 1), around(1, 60, 2), around(2, eye, 3)]
    return Benchmark(Path("made"), tuple(rows)), np.concatenate(vectors[: 3 if eye else 2])


KNOWN = Known(unit(np.eye(2, DIMENSION, dtype=np.float32)), least=0.6, close=0.5)


def strangers(frames: Sequence[Pixels]) -> Vector:
    """An encoder that sees photographs and noise far from everything else."""
    return around(5, len(frames), 9)


def figures(found: Sequence[Comparison]) -> dict[tuple[str, str], float]:
    return {(one.task, one.measure): one.encoder.mean for one in found}


def test_the_area_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 30).round(1)
    expected = roc_auc_score([1] * 50 + [0] * 30, np.concatenate([inside, outside]))
    assert auroc(inside, outside).mean() == pytest.approx(expected)


def test_the_interval_is_about_the_area_and_wider_for_few_subjects() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 200), rng.normal(0, 1, 100)
    many = auroc_interval(inside, [str(n) for n in range(200)], outside, [str(n) for n in range(100)])
    few = auroc_interval(inside, [str(n % 10) for n in range(200)], outside, [str(n % 5) for n in range(100)])
    assert many.mean == few.mean == pytest.approx(auroc(inside, outside).mean())
    assert many.low < many.mean < many.high
    assert (few.high - few.low) != (many.high - many.low)


def test_outsiders_are_told_apart_and_refused_and_radiology_is_not() -> None:
    benchmark, vector = made()
    found = figures(list(refusal_comparisons(benchmark, vector, strangers, KNOWN, 0)))
    for kind in (EYE, PHOTOGRAPHS, NOISE):
        assert found[f"radiology against {kind}", "AUROC"] == 1.0
        assert found[f"MR against {kind}", "AUROC with an archive, one modality"] == 1.0
        assert found[kind, "refused"] == found[kind, "refused by an empty archive"] == 1.0
    assert found["radiology", "refused"] == 0.0
    assert found["CR", "refused by an empty archive, one modality"] == 0.0


def test_where_an_encoder_does_not_say_what_it_knows_the_nearest_is_all_there_is() -> None:
    rows = [*images("MR", "brain", 60), *images("OP", "eye", 12)]
    vector = np.concatenate([around(0, 60, 1), around(2, 12, 3)])
    found = list(refusal_comparisons(Benchmark(Path("made"), tuple(rows)), vector, None, None, 0))
    assert {one.family for one in found} == {REFUSAL}
    measures = {one.measure for one in found}
    assert "AUROC of the nearest alone" in measures
    assert not measures & {"AUROC", "AUROC with an archive"}
    assert figures(found)[EYE, "refused"] == 1.0  # by chance: no two series of this archive are so unlike


def test_outsiders_that_look_like_radiology_are_not_told() -> None:
    benchmark, vector = made(eye=60, licence_class="nc")
    disguised = vector.copy()
    disguised[120:] = around(0, 60, 8)
    found = figures(list(refusal_comparisons(benchmark, disguised, None, KNOWN, 0)))
    assert found[f"MR against {EYE}", "AUROC, one modality"] == pytest.approx(0.5, abs=0.2)
    assert found[EYE, "refused"] == 0.0


def test_a_benchmark_without_radiology_measures_nothing() -> None:
    eyes = Benchmark(Path("made"), tuple(images("OP", "eye", 5)))
    assert list(refusal_comparisons(eyes, around(0, 5, 0), None, None, 0)) == []
    assert list(reliability_comparisons(eyes, around(0, 5, 0), 0)) == []


def test_held_out_is_a_fifth_of_the_subjects_and_all_that_may_not_be_shipped() -> None:
    many = images("MR", "brain", 1000)
    share = sum(is_held_out(image) for image in many) / 1000
    assert 0.15 < share < 0.25
    assert all(is_held_out(image) for image in images("MR", "brain", 20, licence_class="nc"))
    twins = [row(f"{n}", "one and the same") for n in range(20)]
    assert len({is_held_out(image) for image in twins}) == 1
    assert not is_radiology(images("OP", "eye", 1)[0])


def test_a_made_archive_answers_with_the_nearest_of_another_subject() -> None:
    vector = around(0, 30, 1)
    subjects = [f"{n // 2}" for n in range(30)]
    attributes = tuple(SeriesAttributes("MR", "BRAIN") for _ in range(30))
    found = JudgedArchive.of(vector, subjects, attributes, None, 0).answers(vector, subjects, attributes)
    alike = vector @ vector.T
    for n in range(30):
        alike[n, n // 2 * 2 : n // 2 * 2 + 2] = -1
    assert found.match.tolist() == alike.argmax(axis=1).tolist()
    assert found.nearest == pytest.approx(alike.max(axis=1), abs=1e-6)
    assert ((found.percent > 0) & (found.percent < 100)).all()


def test_pairs_that_are_more_alike_than_most_bear_the_same_finding() -> None:
    findings = ("glioma", "none")
    rows = [
        row(f"{n}", f"s{n}", modality="MR", body_part="brain", finding=findings[n % 2]) for n in range(80)
    ]
    vector = np.concatenate([around(n % 2, 1, n) for n in range(80)])
    found = list(reliability_comparisons(Benchmark(Path("made"), tuple(rows)), vector, 0))
    shares = [one.encoder.mean for one in found]
    assert len(shares) >= 3
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] > 0.9
    assert found[0].chance == pytest.approx(0.5, abs=0.05)


def test_noise_and_photographs_are_the_same_for_a_seed_and_of_different_sizes() -> None:
    kinds = tuple(NOISES)
    assert set(EXEMPLARY) < set(kinds)
    first, again = (list(noise(kinds, 2, 4)) for _ in range(2))
    assert [kind for kind, _ in first] == [kind for kind in kinds for _ in range(2)]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))
    frames = [*first, *photograph_crops(2, 4)]
    assert len({frame.shape for _, frame in frames}) > 10
    for _, frame in frames:
        assert frame.dtype == np.float32
        assert frame.min() >= 0
        assert frame.max() <= 1
        assert frame.std() > 0.01
