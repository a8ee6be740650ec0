"""Match maps of pairs of frames: of two that the archive holds, or of an upload and its matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from indexer.domain import Answer, EncoderVersion, FeatureMap, FrameReference, Match, MatchMap
from indexer.errors import CbirError, NotFound
from indexer.ports import Access, Caller, StoredInstance
from indexer.search.kept_maps import KeptMaps, Key
from indexer.search.match_maps import match_maps
from indexer.search.regions import reference_to
from indexer.search.seen_frames import SeenFrames, refuse_large

MOST_MAPPED: Final = 20
"""Matches of one upload that have maps: the first ones."""

Way = Literal["features", "occlusion"]
"""From the feature maps in one pass, or by covering patches: the slow reference."""
Pair = tuple[MatchMap, MatchMap]
"""Where the example's frame looks like the match's, and where the match's looks like the example's."""


@dataclass(frozen=True, slots=True)
class AskedFrame:
    """A frame that the archive holds; `frame_number` is 1-based."""

    sop_instance_uid: str
    frame_number: int


@dataclass(frozen=True, slots=True)
class PairMaps:
    """Match maps of frames, of those only that the caller may see.

    What was seen in an archived frame is kept for a minute: one example is compared with many matches.
    """

    frames: SeenFrames
    access: Access
    kept: KeptMaps = field(default_factory=KeptMaps)

    def of_archived(
        self, example: AskedFrame, match: AskedFrame, caller: Caller, way: Way = "features"
    ) -> Pair:
        """The maps of two frames of the archive.

        Raises:
            NotFound: one of them is unknown, or the caller may not see it.
            TooLarge: one lies in a very large instance.
            Rejected: one cannot be decoded, or each of them has another encoder (different_encoders).
            Unavailable: a neighbour did not answer.
        """
        one, other = (self._visible(frame, caller) for frame in (example, match))
        if way == "features":
            return self._by_features((one, example.frame_number), (other, match.frame_number))
        with ExitStack() as files:
            paths = tuple(files.enter_context(self.frames.fetched(instance)) for instance in (one, other))
            numbers = (example.frame_number, match.frame_number)
            return self.frames.encoder.occlusion_maps((paths[0], paths[1]), numbers)

    def of_answer(self, answer: Answer, path_of: Callable[[str], Path]) -> Mapping[int, Pair]:
        """The maps of an uploaded example and its first `MOST_MAPPED` matches, by rank.

        A match without an example's frame (found by words), or whose frame cannot be had, has none.

        Args:
            answer: whose matches the caller may see.
            path_of: the uploaded file of an instance, by its UID; raises Rejected.
        """
        mapped = [match for match in answer.matches[:MOST_MAPPED] if match.example_frame is not None]
        theirs = {version: self._seen(mapped, version) for version in {match.encoder for match in mapped}}
        own: dict[FrameReference, FeatureMap | None] = {}
        found: dict[int, Pair] = {}
        for match in mapped:
            frame, there = match.example_frame, theirs[match.encoder].get(match.frame)
            if frame is not None and frame not in own:
                own[frame] = self._uploaded(frame, path_of)
            here = own[frame] if frame is not None else None
            if here is not None and there is not None and here.encoder == there.encoder:
                found[match.rank] = match_maps(here, there)
        return found

    def _by_features(self, *two: tuple[StoredInstance, int]) -> Pair:
        one, other = (self._kept(*frame) for frame in two)
        if one.encoder != other.encoder:
            for instance, frame_number in two:
                self.kept.forget(_key(instance, frame_number))
            one, other = (self._kept(*frame) for frame in two)
        return match_maps(one, other)

    def _kept(self, instance: StoredInstance, frame_number: int) -> FeatureMap:
        return self.kept.of(_key(instance, frame_number), lambda: self.frames.of(instance, frame_number))

    def _seen(self, matches: list[Match], version: EncoderVersion) -> Mapping[FrameReference, FeatureMap]:
        wanted = [(match.reference, match.frame) for match in matches if match.encoder == version]
        return self.frames.of_many(wanted, version)

    def _uploaded(self, frame: FrameReference, path_of: Callable[[str], Path]) -> FeatureMap | None:
        try:
            path = path_of(frame.sop_instance_uid)
            return self.frames.encoder.feature_maps(path, [frame.frame_number])[0]
        except CbirError:
            return None

    def _visible(self, frame: AskedFrame, caller: Caller) -> StoredInstance:
        instance = self.frames.archive.find_instance(frame.sop_instance_uid)
        if not self.access.visible(caller, [reference_to(instance)]):
            raise NotFound(f"There is no instance {frame.sop_instance_uid}.")
        refuse_large(instance)
        return instance


def _key(instance: StoredInstance, frame_number: int) -> Key:
    return instance.archive_id, instance.size_bytes, frame_number
