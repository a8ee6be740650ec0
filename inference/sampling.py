"""Which frames of a series stand for it, chosen before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.ports import StoredInstance


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame that was chosen; `frame_index` is 0-based."""

    instance: StoredInstance
    frame_index: int


def sample_frames(instances: Sequence[StoredInstance], max_frames: int) -> list[SampledFrame]:
    """Choose at most `max_frames` frames, spread evenly over the series, the middle one included.

    Instances are ordered in space where all positions are known, else by Instance Number, else by UID.
    When there are fewer instances than frames to choose, every instance gives at least one frame and
    the rest are shared out by the number of frames, so that stills are not lost beside a long cine. The
    same instances always give the same frames, in whatever order they come.
    """
    if max_frames < 1:
        raise ValueError(f"max_frames is {max_frames}; at least one frame must be sampled.")
    ordered = in_order(instances)
    if len(ordered) >= max_frames:
        chosen = [ordered[i] for i in spread(len(ordered), max_frames)]
        return [SampledFrame(instance, _frames_of(instance) // 2) for instance in chosen]
    shares = _shares([_frames_of(instance) for instance in ordered], max_frames)
    return [
        SampledFrame(instance, frame_index)
        for instance, share in zip(ordered, shares, strict=True)
        for frame_index in spread(_frames_of(instance), share)
    ]


def in_order(instances: Sequence[StoredInstance]) -> list[StoredInstance]:
    """The instances in the order of the series."""
    by_uid = sorted(instances, key=lambda instance: (instance.sop_instance_uid, instance.archive_id))
    positions = [instance.position_mm for instance in by_uid]
    if all(position is not None for position in positions):
        return sorted(by_uid, key=lambda instance: (instance.position_mm or 0.0, _number(instance)))
    return sorted(by_uid, key=_number)


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` indices of `count`, increasing and evenly spread around the middle one (count // 2)."""
    if wanted >= count:
        return list(range(count))
    middle, half = count // 2, wanted // 2
    before = [middle - (half - i) * count // wanted for i in range(half)]
    after = [middle + i * count // wanted for i in range(wanted - half)]
    return before + after


def _number(instance: StoredInstance) -> tuple[bool, int]:
    """Instances without a number come last."""
    return (instance.instance_number is None, instance.instance_number or 0)


def _frames_of(instance: StoredInstance) -> int:
    return max(instance.number_of_frames, 1)


def _shares(counts: Sequence[int], wanted: int) -> list[int]:
    """One each, the rest in proportion to the frames that are left (largest remainders first)."""
    spare, left = wanted - len(counts), sum(counts) - len(counts)
    if left <= spare:
        return list(counts)
    exact = [(count - 1) * spare / left for count in counts]
    shares = [1 + int(part) for part in exact]
    by_remainder = sorted(range(len(counts)), key=lambda i: (int(exact[i]) - exact[i], i))
    for i in by_remainder[: wanted - sum(shares)]:
        shares[i] += 1
    return shares
