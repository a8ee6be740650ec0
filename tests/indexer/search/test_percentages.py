"""Which pairs a match is compared with: those of the kind that the example and the match have in common."""

from __future__ import annotations

import numpy as np

from indexer.domain import EncoderVersion
from indexer.ledger import Background
from indexer.search.judging import Judge
from tests.indexer.search.world import TRUSTED, World, about

KEPT = {("MR", "BRAIN"): 0.2, ("MR", ""): 0.5, ("", ""): 0.9}
"""The score that half of the pairs do not reach."""


def narrowest(_: EncoderVersion, modality: str, part: str) -> Background:
    key = next(key for key in ((modality, part), (modality, ""), ("", "")) if key in KEPT)
    scores = np.linspace(2 * KEPT[key] - 1, 1, 101, dtype=np.float32)
    return Background(*key, 1000, scores, np.zeros(0, dtype=np.float32))


def test_a_match_of_another_kind_is_compared_with_pairs_of_all_kinds(world: World) -> None:
    world.judge = Judge(background=narrowest)
    world.add("1", (1, 0, 0), modality="MR", body_part_examined="BRAIN")
    world.add("2", (1, 0.1, 0), modality="MR", body_part_examined="BRAIN")
    world.add("3", (1, 0.2, 0), modality="MR", body_part_examined="LSPINE")
    world.add("4", (1, 0.3, 0), modality="CT", body_part_examined="BRAIN")
    found = world.search().similar(about("1"), TRUSTED).matches
    assert [match.percent_of for match in found] == ["body_part", "modality", "archive"]
    percents = [match.percent for match in found if match.percent is not None]
    assert percents == sorted(percents, reverse=True)
    assert percents[2] < 90
