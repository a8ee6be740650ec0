from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError
from evaluation.folds import (
    grouped_folds,
    near_duplicate_groups,
    refuse_shared_subjects,
    subject_groups,
)
from tests.evaluation.rows import row, write_image, write_noise, write_rows


def drawn() -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], list[str]]:
    """600 images of 150 subjects who have 1 to 7 each, of two sets with a frequent and a rare label."""
    random = np.random.default_rng(4)
    sizes = random.integers(1, 8, 150)
    groups = np.repeat(np.arange(150), sizes).astype(np.intp)
    strata = [f"{'a' if group < 100 else 'b'}/{'rare' if group % 10 == 0 else 'common'}" for group in groups]
    order = random.permutation(len(groups))
    return groups[order], [strata[place] for place in order]


@pytest.mark.parametrize("folds", [2, 5])
def test_no_group_is_on_both_sides_and_every_image_is_held_out_once(folds: int) -> None:
    groups, strata = drawn()
    cut = grouped_folds(groups, strata, folds, seed=0)
    for fold in cut:
        assert not set(groups[fold.training]) & set(groups[fold.held_out])
        assert len(fold.training) + len(fold.held_out) == len(groups)
        assert not set(fold.training) & set(fold.held_out)
    held_out = np.concatenate([fold.held_out for fold in cut])
    assert sorted(held_out.tolist()) == list(range(len(groups)))


def test_each_stratum_is_spread_evenly() -> None:
    groups, strata = drawn()
    names = np.array(strata)
    for stratum in sorted(set(strata)):
        counts = [
            int((names[fold.held_out] == stratum).sum()) for fold in grouped_folds(groups, strata, 5, 0)
        ]
        largest_group = int(np.bincount(groups[names == stratum]).max())
        assert max(counts) - min(counts) <= largest_group, (stratum, counts)


def test_the_seed_decides() -> None:
    groups, strata = drawn()
    first, again, other = (grouped_folds(groups, strata, 5, seed) for seed in (1, 1, 2))
    assert all((a.held_out == b.held_out).all() for a, b in zip(first, again, strict=True))
    assert any(set(a.held_out) != set(b.held_out) for a, b in zip(first, other, strict=True))


def test_too_few_groups_or_folds_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="2 subjects cannot be cut into 3 folds"):
        grouped_folds(np.array([0, 0, 1, 1]), ["x"] * 4, 3, seed=0)
    with pytest.raises(BenchmarkError, match="take 2 or more"):
        grouped_folds(np.array([0, 0, 1, 1]), ["x"] * 4, 1, seed=0)


def test_every_fold_has_a_group_even_when_there_are_no_more_than_folds() -> None:
    cut = grouped_folds(np.arange(5), ["a", "a", "b", "b", "c"], 5, seed=0)
    assert [len(fold.held_out) for fold in cut] == [1] * 5


def test_a_subject_of_one_set_is_not_that_of_another(tmp_path: Path) -> None:
    rows = [row(0, subject="s"), row(1, subject="s"), row(2, subject="s", dataset="other"), row(3)]
    groups = subject_groups(Benchmark.open(write_noise(tmp_path, rows)))
    assert groups[0] == groups[1]
    assert len({groups[0], groups[2], groups[3]}) == 3


def test_near_duplicates_join_their_subjects_through_any_chain(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pictures = [cv2.GaussianBlur(random.random((64, 64)), (0, 0), 3) for _ in range(3)]
    low, high = min(p.min() for p in pictures), max(p.max() for p in pictures)
    first, second, other = ((p - low) / (high - low) * 200 for p in pictures)
    images = {
        "0": first,
        "1": first * 0.8 + 20,  # darker, flatter: the same picture
        "2": second,  # of the same subject as 1
        "3": cv2.resize(second, (90, 70)),
        "4": other,
        "5": first,  # of another set
    }
    for name, image in images.items():
        write_image(tmp_path / f"{name}.png", image.astype(np.uint8))
    subjects = ["a", "b", "b", "c", "d", "a"]
    rows = [row(n, subject=s, dataset="other" if n == 5 else "set") for n, s in enumerate(subjects)]
    groups = near_duplicate_groups(Benchmark.open(write_rows(tmp_path, rows)))
    assert groups[0] == groups[1] == groups[2] == groups[3]
    assert len({groups[0], groups[4], groups[5]}) == 3


def test_flat_pictures_are_nobody_s_duplicate(tmp_path: Path) -> None:
    for number in range(2):
        write_image(tmp_path / f"{number}.png", np.full((40, 40), 90, dtype=np.uint8))
    groups = near_duplicate_groups(Benchmark.open(write_rows(tmp_path, [row(0), row(1)])))
    assert groups[0] != groups[1]


def test_a_subject_on_both_sides_of_a_split_is_refused_by_name(tmp_path: Path) -> None:
    rows = [row(0, subject="s"), row(1, subject="s"), row(2), row(3, subject="s", dataset="other")]
    benchmark = Benchmark.open(write_noise(tmp_path, rows))
    refuse_shared_subjects(benchmark.at([0, 1]), benchmark.at([2, 3]))
    with pytest.raises(BenchmarkError, match="1 subjects are on both sides of the split, first s of set"):
        refuse_shared_subjects(benchmark.at([0, 2]), benchmark.at([1, 3]))
