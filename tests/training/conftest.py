from __future__ import annotations

import pytest
import torch

from tests.inference.conftest import encoder

__all__ = ["encoder"]


@pytest.fixture(autouse=True)
def _same_weights_each_time() -> None:
    """What a test draws without a seed of its own does not depend on the tests that ran before it."""
    torch.manual_seed(0)
