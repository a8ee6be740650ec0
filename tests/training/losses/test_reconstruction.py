"""Reconstruction and lesion maps by hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from training.errors import TrainingError
from training.losses.lesion_map import lesion_map, soft_dice
from training.losses.reconstruction import reconstruction


def test_a_picture_is_averaged_to_the_size_of_what_was_drawn() -> None:
    picture = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    assert float(reconstruction(torch.tensor([[[[0.75]]]]), picture)) == pytest.approx(0.0625)


@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (1, 1, 4, 4)])
def test_what_cannot_be_compared_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="was drawn"):
        reconstruction(torch.zeros(shape), torch.zeros(1, 1, 2, 2))


def test_dice_is_one_less_twice_the_overlap_over_both() -> None:
    probability = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    share = torch.tensor([[[[0.0, 1.0, 1.0, 0.0]]]])
    assert float(soft_dice(probability, share)) == pytest.approx(1 - 3 / 5)


def test_an_empty_map_over_no_lesion_costs_no_dice() -> None:
    assert float(soft_dice(torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3))) == 0.0


def test_a_map_that_knows_nothing_costs_log_2_and_its_dice() -> None:
    share = torch.tensor([[[[1.0, 0.0]]]])
    expected = math.log(2) + 2.0 * (1 - (2 * 0.5 + 1) / (0.5 + 1 + 1))
    assert float(lesion_map(torch.zeros(1, 1, 1, 2), share, 2.0)) == pytest.approx(expected, abs=1e-6)
