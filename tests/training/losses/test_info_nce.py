from __future__ import annotations

import math

import pytest
import torch

from training.losses.info_nce import ImageTextLoss, clip, convirt, shared_targets

# Images along the axes; the first text is its image's, the second lies between both images.
IMAGES = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
TEXTS = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
BETWEEN = 1 / math.sqrt(2)


def test_convirt_weighs_finding_the_text_and_finding_the_image() -> None:
    # Cosines: [[1, .707], [0, .707]], divided by the temperature 0.5.
    to_text = (math.log(1 + math.exp((BETWEEN - 1) / 0.5)) + math.log(1 + math.exp(-BETWEEN / 0.5))) / 2
    to_image = (math.log(1 + math.exp(-1 / 0.5)) + math.log(2)) / 2
    found = convirt(IMAGES, TEXTS, weight=0.75, temperature=0.5)
    assert float(found) == pytest.approx(0.75 * to_text + 0.25 * to_image, abs=1e-6)


def test_all_weight_on_the_text_leaves_the_image_out() -> None:
    to_text = (math.log(1 + math.exp(BETWEEN - 1)) + math.log(1 + math.exp(-BETWEEN))) / 2
    assert float(convirt(IMAGES, TEXTS, weight=1.0, temperature=1.0)) == pytest.approx(to_text, abs=1e-6)


def test_clip_is_convirt_with_even_weights_at_its_own_temperature() -> None:
    scale = torch.tensor(math.log(1 / 0.07))
    even = convirt(IMAGES, TEXTS, weight=0.5, temperature=0.07)
    assert float(clip(IMAGES, TEXTS, scale)) == pytest.approx(float(even), abs=1e-5)


def test_clips_scale_ends_at_a_hundred() -> None:
    at_most = clip(IMAGES, TEXTS, torch.tensor(math.log(100.0)))
    assert float(clip(IMAGES, TEXTS, torch.tensor(9.0))) == pytest.approx(float(at_most))


def test_the_temperature_of_clip_is_learned_and_that_of_convirt_is_not() -> None:
    images = torch.eye(3, requires_grad=True)
    for name, learned in (("clip", True), ("convirt", False)):
        loss = ImageTextLoss(name, 0.75, 0.1)
        loss(images, torch.eye(3) + 0.1).backward()
        assert (loss.log_scale.grad is not None) is learned


def test_pairs_that_are_told_apart_perfectly_cost_nothing() -> None:
    assert float(convirt(torch.eye(4), torch.eye(4), temperature=0.01)) == pytest.approx(0.0, abs=1e-6)


def test_vectors_that_say_nothing_cost_the_logarithm_of_the_batch() -> None:
    same = torch.ones(5, 3)
    assert float(convirt(same, same)) == pytest.approx(math.log(5), abs=1e-6)


def test_pairs_with_one_caption_are_each_others_positives() -> None:
    target = shared_targets([torch.tensor([0, 0, 1])], [1.0])
    assert target.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    alone = float(convirt(vectors, vectors, temperature=0.05))
    together = float(convirt(vectors, vectors, temperature=0.05, target=target))
    # Equal vectors cannot be told apart: log 2 for two of three anchors, with and without the target.
    assert together == pytest.approx(2 / 3 * math.log(2), abs=1e-6)
    assert alone == pytest.approx(together, abs=1e-6)
    apart = torch.eye(3)
    assert float(convirt(apart, apart, temperature=0.05, target=target)) > 5.0


def test_a_second_grouping_takes_its_share_of_the_target() -> None:
    target = shared_targets([torch.tensor([0, 1, 2]), torch.tensor([7, 7, 8])], [0.75, 0.25])
    assert target.tolist() == [[0.875, 0.125, 0.0], [0.125, 0.875, 0.0], [0.0, 0.0, 1.0]]
