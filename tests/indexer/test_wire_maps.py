"""Feature maps and match maps come back from JSON as they were written, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from indexer.domain import EncoderVersion, FeatureMap, MatchMap, Region
from indexer.errors import EncoderUnavailable
from indexer.wire_maps import (
    FeatureMapsAnswer,
    MatchMapsAnswer,
    WireMatchMap,
    feature_maps_of,
    match_maps_of,
)

VERSION = EncoderVersion("test", "ab" * 32, 5)
AREA = Region(-0.25, 0.1, 1.5, 0.8)


def seen(scale: float = 1.0) -> FeatureMap:
    cells = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32) * np.float32(scale)
    return FeatureMap(VERSION, cells, AREA)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_feature_map_comes_back_whatever_the_size_of_its_values(scale: float) -> None:
    body = FeatureMapsAnswer.of([seen(scale)]).model_dump_json().encode()
    (found,) = feature_maps_of(body)
    assert (found.encoder, found.area) == (VERSION, AREA)
    assert found.cells.dtype == np.float32
    np.testing.assert_allclose(found.cells, seen(scale).cells, atol=2e-3 * scale)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 4},
        {"rows": 0},
        {"columns": 10**6},
        {"cells": "not base64!"},
        {"cells": "AHw=" * 60},
        {"scale": -1},
        {"area": {"left": 0, "top": 0, "width": 0, "height": 1}},
    ],
)
def test_a_feature_map_of_another_size_or_kind_is_no_answer(change: dict[str, Any]) -> None:
    document = json.loads(FeatureMapsAnswer.of([seen()]).model_dump_json())
    document["maps"][0].update(change)
    with pytest.raises(EncoderUnavailable):
        feature_maps_of(json.dumps(document).encode())


def test_match_maps_come_back_and_others_are_refused() -> None:
    found = MatchMap(np.array([[0, 0.5], [1, 0.25]], dtype=np.float32), AREA)
    wire = WireMatchMap.of(found)
    body = MatchMapsAnswer(first=wire, second=wire).model_dump_json().encode()
    first, second = match_maps_of(body)
    np.testing.assert_array_equal(first.values, found.values)
    assert first.area == second.area == AREA
    for change in ({"rows": 3}, {"values": [[0, 2], [0, 0]]}):
        document = json.loads(body)
        document["first"].update(change)
        with pytest.raises(EncoderUnavailable):
            match_maps_of(json.dumps(document).encode())
