from __future__ import annotations

import numpy as np
import pytest

from evaluation.errors import BenchmarkError
from evaluation.ranking import Labelled, rankings, retrieval_by_label, unit_vectors


def at(*degrees: float) -> np.ndarray:
    angle = np.radians(np.array(degrees))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_the_nearest_comes_first_and_the_own_subject_never() -> None:
    vector, subject = at(0, 1, 30, 10), np.array(["a", "a", "b", "c"])
    first = next(rankings(vector, vector, subject, subject, 3))
    assert first.nearest.tolist() == [3, 2]
    assert first.allowed.tolist() == [False, False, True, True]


def test_equal_scores_keep_the_gallerys_order_whatever_k() -> None:
    vector = at(0, 90, 0, 90, 0, 0, 0, 90)
    subject = np.array(list("abcdefgh"))
    for k in (1, 2, 3, 20):
        first = next(rankings(vector, vector, subject, subject, k))
        assert first.nearest.tolist() == [2, 4, 5, 6, 1, 3, 7][:k]


def test_precision_average_precision_recall_and_chance_by_hand() -> None:
    labelled = Labelled(at(0, 10, 20, 30, 40), np.array(list("xyxxy")), np.array(list("abcde")))
    values = retrieval_by_label(labelled, labelled, cutoffs=(1, 3))
    assert values["P@1"][0] == 0
    assert values["P@3"][0] == pytest.approx(2 / 3)
    assert values["mAP@3"][0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert values["R@1"].tolist() == [0, 0, 0, 1, 0]
    assert values["R@3"][0] == 1
    assert values["chance P@3"][0] == pytest.approx(2 / 4)
    assert "mAP@1" not in values


def test_a_short_gallery_is_judged_by_what_it_has() -> None:
    labelled = Labelled(at(0, 10, 20), np.array(list("xxx")), np.array(list("abb")))
    values = retrieval_by_label(labelled, labelled, cutoffs=(10,))
    assert values["P@10"].tolist() == [1, 1, 1]
    assert values["mAP@10"].tolist() == [1, 1, 1]


def test_queries_and_gallery_may_differ() -> None:
    query = Labelled(at(0), np.array(["x"]), np.array(["a"]))
    gallery = Labelled(at(5, 1), np.array(["x", "y"]), np.array(["b", "c"]))
    values = retrieval_by_label(query, gallery, cutoffs=(1, 2))
    assert values["P@1"].tolist() == [0]
    assert values["P@2"].tolist() == [0.5]


def test_a_set_of_one_subject_is_refused() -> None:
    labelled = Labelled(at(0, 10), np.array(["x", "y"]), np.array(["a", "a"]))
    with pytest.raises(BenchmarkError, match="one subject"):
        retrieval_by_label(labelled, labelled)
    with pytest.raises(BenchmarkError, match="belong together"):
        Labelled(at(0, 10), np.array(["x"]), np.array(["a", "a"]))


def test_a_vector_of_zeros_is_as_near_to_everything() -> None:
    assert unit_vectors(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0, 0, 0]]


def test_vectors_of_double_precision_are_divided_before_they_are_rounded() -> None:
    third = unit_vectors(np.array([[1.0, 1.0, 1.0 + 1e-9]]))
    assert third.dtype == np.float32
    assert third[0].tolist() == [np.float32(1 / np.sqrt(3))] * 3
