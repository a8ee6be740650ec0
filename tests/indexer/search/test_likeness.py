"""Which series are like which, and where like ones come from."""

from __future__ import annotations

import pytest

from indexer.domain import Filters, Scope, SeriesAttributes
from indexer.search.likeness import is_like, like_scope

T1 = SeriesAttributes("MR", sequence="T1", plane="AXIAL")


@pytest.mark.parametrize(
    ("other", "like"),
    [
        (SeriesAttributes("MR", sequence="T1", plane="AXIAL"), True),
        (SeriesAttributes("MR", sequence="T2", plane="AXIAL"), False),
        (SeriesAttributes("MR", sequence="T1", plane="CORONAL"), False),
        (SeriesAttributes("CT", sequence="T1", plane="AXIAL"), False),
        (SeriesAttributes("MR", sequence="T1"), True),
        (SeriesAttributes("MR"), True),
        (SeriesAttributes(), True),
    ],
)
def test_series_are_like_as_far_as_is_known_of_both(other: SeriesAttributes, like: bool) -> None:
    assert is_like(T1, other) is like
    assert is_like(other, T1) is like


def test_projections_are_alike_whatever_took_them() -> None:
    assert is_like(SeriesAttributes("CR", plane="FRONTAL"), SeriesAttributes("DX", plane="FRONTAL"))
    assert not is_like(SeriesAttributes("CR", plane="FRONTAL"), SeriesAttributes("DX", plane="LATERAL"))
    assert not is_like(SeriesAttributes("DX"), SeriesAttributes("MG"))


def test_the_scope_of_like_series_keeps_the_filters_of_the_question() -> None:
    scope = like_scope(Scope(not_study="1"), T1)
    assert scope == Scope(Filters(modality=("MR", "")), not_study="1", sequence="T1", plane="AXIAL")
    filtered = like_scope(Scope(Filters(modality=("MR", "CT"), body_part_examined=("BRAIN",))), T1)
    assert filtered is not None
    assert filtered.filters == Filters(modality=("MR",), body_part_examined=("BRAIN",))
    assert like_scope(Scope(Filters(modality=("CT",))), T1) is None


def test_of_a_series_of_which_nothing_is_known_every_series_is_a_like_one() -> None:
    assert like_scope(Scope(), SeriesAttributes()) == Scope()
