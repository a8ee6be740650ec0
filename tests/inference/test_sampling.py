from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.ports import StoredInstance
from inference.sampling import in_order, sample_frames, spread


def stored(
    name: str, *, number: int | None = None, frames: int = 1, position_mm: float | None = None
) -> StoredInstance:
    return StoredInstance(
        archive_id=f"archive/{name}",
        sop_instance_uid=name,
        instance_number=number,
        number_of_frames=frames,
        size_bytes=1000,
        position_mm=position_mm,
    )


def volume(count: int) -> list[StoredInstance]:
    return [stored(f"1.{n}", number=n, position_mm=2.5 * n) for n in range(count)]


anything = st.lists(
    st.builds(
        stored,
        st.integers(1, 10**6).map(lambda n: f"1.{n}"),
        number=st.none() | st.integers(-5, 500),
        frames=st.integers(0, 400),
        position_mm=st.none() | st.floats(-500, 500),
    ),
    max_size=40,
    unique_by=lambda instance: instance.sop_instance_uid,
)


@given(anything, st.integers(1, 64))
def test_a_sample_is_as_large_as_it_may_be_and_never_larger(
    instances: list[StoredInstance], max_frames: int
) -> None:
    sampled = sample_frames(instances, max_frames)
    there = sum(max(instance.number_of_frames, 1) for instance in instances)
    assert len(sampled) == min(there, max_frames)


@given(anything, st.integers(1, 64))
def test_every_sampled_frame_exists_and_comes_once(instances: list[StoredInstance], max_frames: int) -> None:
    sampled = sample_frames(instances, max_frames)
    chosen = [(frame.instance.sop_instance_uid, frame.frame_index) for frame in sampled]
    assert len(set(chosen)) == len(chosen)
    for frame in sampled:
        assert 0 <= frame.frame_index < max(frame.instance.number_of_frames, 1)


@given(anything, st.integers(1, 64), st.randoms())
def test_the_order_of_a_listing_changes_nothing(
    instances: list[StoredInstance], max_frames: int, chance: random.Random
) -> None:
    shuffled = list(instances)
    chance.shuffle(shuffled)
    assert sample_frames(shuffled, max_frames) == sample_frames(instances, max_frames)


@given(anything, st.integers(1, 64))
def test_no_instance_is_left_out_while_there_is_room(
    instances: list[StoredInstance], max_frames: int
) -> None:
    seen = {frame.instance.sop_instance_uid for frame in sample_frames(instances, max_frames)}
    assert len(seen) == min(len(instances), max_frames)


@given(st.integers(1, 500), st.integers(1, 64))
def test_the_middle_is_always_there_and_the_gaps_are_even(count: int, wanted: int) -> None:
    chosen = spread(count, wanted)
    gaps = [b - a for a, b in pairwise(chosen)]
    assert count // 2 in chosen
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
    widest = -(-count // wanted)
    assert chosen[0] <= widest
    assert count - 1 - chosen[-1] <= widest


def test_slices_are_ordered_in_space_before_their_numbers() -> None:
    upside_down = [stored(f"1.{n}", number=n, position_mm=-3.0 * n) for n in range(5)]
    assert [i.instance_number for i in in_order(upside_down)] == [4, 3, 2, 1, 0]


def test_one_unknown_position_makes_the_numbers_count() -> None:
    some = [*volume(4), stored("1.9", number=-1)]
    assert [i.instance_number for i in in_order(some)] == [-1, 0, 1, 2, 3]


def test_instances_without_a_number_come_last_by_uid() -> None:
    some = [stored("1.3"), stored("1.2"), stored("1.9", number=7)]
    assert [i.sop_instance_uid for i in in_order(some)] == ["1.9", "1.2", "1.3"]


def test_a_cine_is_spread_over_its_length() -> None:
    sampled = sample_frames([stored("1.1", frames=100)], 5)
    assert [frame.frame_index for frame in sampled] == [10, 30, 50, 70, 90]


def test_stills_are_not_lost_beside_a_long_cine() -> None:
    examination = [stored("1.1", number=1, frames=300), *[stored(f"2.{n}", number=n + 2) for n in range(6)]]
    sampled = sample_frames(examination, 16)
    assert {f.instance.sop_instance_uid for f in sampled} == {i.sop_instance_uid for i in examination}
    assert sum(f.instance.number_of_frames > 1 for f in sampled) == 10


def test_of_many_cines_the_middle_frames_are_taken() -> None:
    sampled = sample_frames([stored(f"1.{n}", number=n, frames=9) for n in range(40)], 4)
    assert [frame.frame_index for frame in sampled] == [4, 4, 4, 4]


def test_no_frames_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="max_frames"):
        sample_frames(volume(3), 0)
