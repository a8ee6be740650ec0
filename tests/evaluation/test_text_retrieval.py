from __future__ import annotations

import itertools

import numpy as np
import pytest

from evaluation.errors import BenchmarkError
from evaluation.text_retrieval import recall_and_rank, text_retrieval

AXES = np.eye(3, dtype=np.float32)


def test_what_is_ahead_of_the_right_answer_is_counted() -> None:
    images = np.stack([AXES[0], AXES[1], AXES[0] * 0.8 + AXES[1] * 0.6])
    found = text_retrieval(images, ["a", "b", "b"], ["a", "b", "unused"], AXES)
    assert found.image_to_text.tolist() == [0, 0, 1]
    assert found.text_to_image.tolist() == [0, 0]
    assert found.caption.tolist() == [0, 1]
    assert found.images_of_caption.tolist() == [1, 2]


def test_an_image_without_a_known_caption_is_left_out() -> None:
    found = text_retrieval(AXES, ["", "b", "unknown"], ["b"], AXES[1:2] * 7)
    assert found.image.tolist() == [1]
    with pytest.raises(BenchmarkError, match="No image"):
        text_retrieval(AXES, ["", "", ""], ["b"], AXES[:1])


def test_a_tie_counts_for_the_right_answer_and_is_told() -> None:
    one = np.full((50, 3), 3**-0.5, dtype=np.float32)
    captions = [str(number) for number in range(50)]
    found = text_retrieval(one, captions, captions, one)
    assert found.image_to_text_tied.all()
    assert found.text_to_image_tied.all()
    apart = text_retrieval(AXES, ["a", "b", "b"], ["a", "b"], AXES[:2])
    assert not apart.image_to_text_tied[:2].any()
    assert apart.image_to_text_tied[2], "the third image is as far from the one as from the other"
    assert not apart.text_to_image_tied.any()


def test_recall_and_reciprocal_rank() -> None:
    values = recall_and_rank(np.array([0, 1, 9]), cutoffs=(1, 5))
    assert values["R@1"].tolist() == [1, 0, 0]
    assert values["R@5"].tolist() == [1, 1, 0]
    assert values["MRR"].tolist() == [1, 0.5, 0.1]


def test_chance_is_the_mean_over_every_order() -> None:
    images = np.zeros((5, 3), dtype=np.float32)
    found = text_retrieval(images, ["a", "a", "b", "b", "b"], ["a", "b"], AXES[:2])
    orders = list(itertools.permutations("aabbb"))
    ahead = [order.index(caption) for order in orders for caption in "ab"]
    chance = found.chance_text_to_image
    assert chance["MRR"] == pytest.approx(np.mean([1 / (1 + x) for x in ahead]))
    assert chance["R@1"] == pytest.approx(np.mean([x < 1 for x in ahead]))
    assert found.chance_image_to_text == pytest.approx({"R@1": 0.5, "R@5": 1, "R@10": 1, "MRR": 0.75})
