from __future__ import annotations

import numpy as np
import pytest

from evaluation.case_queries import BOTH, TEXTUAL, VISUAL, CaseQueries
from evaluation.errors import BenchmarkError


def crossed() -> CaseQueries:
    """Four kinds: the image tells one half of the kind, the text the other half."""
    rng = np.random.default_rng(0)
    halves = np.array([(a, b) for a in (0, 1) for b in (0, 1) for _ in range(6)])
    both = np.concatenate([np.eye(2)[halves[:, 0]], np.eye(2)[halves[:, 1]]], axis=1)
    text = both * [0.0, 0.0, 1.0, 1.0]
    image = both * [1.0, 1.0, 0.25, 0.25] + 0.3 * rng.standard_normal(both.shape) * [0, 0, 1, 1]
    return CaseQueries(
        image.astype(np.float32),
        text.astype(np.float32),
        np.array([f"{a}{b}" for a, b in halves]),
        np.array([f"case {n}" for n in range(len(halves))]),
    )


def test_what_image_and_text_each_half_know_they_find_together() -> None:
    found = crossed().measure()
    precision = {kind: float(values["P@5"].mean()) for kind, values in found.items()}
    assert precision[BOTH] > max(precision[VISUAL], precision[TEXTUAL]) + 0.1


def test_no_share_of_the_text_is_the_visual_query_and_all_of_it_the_textual() -> None:
    for share, kind in ((0.0, VISUAL), (1.0, TEXTUAL)):
        found = crossed().measure(text_share=share)
        np.testing.assert_array_equal(found[BOTH]["mAP@10"], found[kind]["mAP@10"])


def test_a_query_never_finds_its_own_subject() -> None:
    queries = CaseQueries(
        np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.array(["a", "a"]), np.array(["x", "x"])
    )
    with pytest.raises(BenchmarkError, match="no neighbour of another subject"):
        queries.measure()
