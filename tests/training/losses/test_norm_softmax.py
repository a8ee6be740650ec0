"""Classification by cosine, by hand."""

from __future__ import annotations

import math

import torch

from training.losses.norm_softmax import norm_softmax

PROXIES = torch.tensor([[1.0, 0.0], [0.0, 2.0]])


def test_lengths_do_not_matter_and_the_value_is_the_softmaxs() -> None:
    vectors = torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    losses = norm_softmax(vectors, PROXIES, torch.tensor([0, 0]), scale=2.0)
    right, wrong = math.log(1 + math.exp(-2.0)), math.log(1 + math.exp(2.0))
    torch.testing.assert_close(losses, torch.tensor([right, wrong]))


def test_smoothing_costs_the_certain() -> None:
    vector = torch.tensor([[1.0, 0.0]])
    sharp = norm_softmax(vector, PROXIES, torch.tensor([0]), scale=20.0)
    smooth = norm_softmax(vector, PROXIES, torch.tensor([0]), scale=20.0, smoothing=0.1)
    torch.testing.assert_close(smooth - sharp, torch.tensor([0.05 * 20.0]), rtol=1e-4, atol=1e-4)
