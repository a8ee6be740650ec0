"""A region of the example: what it is compared by, and where in the matches it is found again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from indexer.domain import FrameReference, Match, Region, SeriesEmbedding, SeriesReference, Vector
from indexer.elements import read_elements
from indexer.errors import EncoderUnavailable, NotFound, Rejected
from indexer.ports import Access, Caller, StoredInstance
from indexer.search.question import ExampleReference, RegionOfInterest
from indexer.search.seen_frames import SeenFrames
from indexer.search.windows import Sight, best_window, sight_of

MOST_LOOKED_AT: Final = 48
"""Matches whose frames are fetched and searched for the region."""
OVERFETCH: Final = 4
_SOP_INSTANCE_UID: Final = 0x00080018
_SERIES_INSTANCE_UID: Final = 0x0020000E


@dataclass(frozen=True, slots=True)
class AskedRegion:
    """A region as it is asked with.

    `example` is the series that holds it, standing for the region alone: one frame, whose vector is that of
    the region; `whole` is the series as it is. `sight` is what the encoder saw there, `size` how large it
    is in fractions of the frame.
    """

    example: SeriesEmbedding
    sight: Sight
    size: Region
    whole: SeriesEmbedding


@dataclass(frozen=True, slots=True)
class Regions:
    """Reads what is inside a region, and finds it again in the frames of matches."""

    frames: SeenFrames
    access: Access

    def read(
        self,
        asked: RegionOfInterest,
        example: ExampleReference | tuple[Path, ...],
        series: Sequence[SeriesEmbedding],
        caller: Caller,
    ) -> AskedRegion:
        """What is asked with: the unit mean of the cells inside, weighted by how much of each lies there.

        Args:
            asked: the region.
            example: as the question has it.
            series: the embeddings of the example.
            caller: must be allowed to see the instance.

        Raises:
            NotFound: the instance or the frame is unknown, or no part of the example, or hidden.
            Rejected: the encoder does not look at this part of the frame, or sees nothing there.
            Unavailable: a neighbour did not answer.
        """
        if isinstance(example, ExampleReference):
            instance = self._visible(asked.sop_instance_uid, caller)
            held = _holding(example, series, instance)
            with self.frames.fetched(instance) as path:
                return self._read(path, asked, held)
        path, series_instance_uid = _uploaded(asked.sop_instance_uid, example)
        held = [one for one in series if one.reference.series_instance_uid == series_instance_uid]
        return self._read(path, asked, held)

    def placed(
        self, matches: Sequence[Match], asked: AskedRegion, limit: int, *, alone: bool = True
    ) -> tuple[Match, ...]:
        """The best `limit` matches, each with the window of its frame that is most like the region.

        The frames of the first `MOST_LOOKED_AT` are fetched. A match whose frame cannot be had keeps its
        score and has no place: its score is on another scale, and it comes after those that have one. No
        percentage is given: what is known of pairs is known of whole series.

        Args:
            matches: in rank order.
            asked: what is looked for.
            limit: how many are given back.
            alone: nothing but the region is asked with: the matches are ranked by their windows. Otherwise
                they keep their fused scores and their order.
        """
        version = asked.example.encoder
        wanted = [(match.reference, match.frame) for match in matches[:MOST_LOOKED_AT]]
        seen = self.frames.of_many(wanted, version)
        placed = []
        for match in matches:
            there = seen.get(match.frame)
            found = best_window(there, asked.sight, asked.size) if there is not None else None
            changed = replace(match, percent=None)
            if found is not None:
                score = found.score if alone else match.score
                changed = replace(changed, score=score, pair_score=found.score, place=found.place)
            placed.append(changed)
        if alone:
            placed.sort(key=lambda match: (match.place is None, -match.score, _study_of(match)))
        return tuple(replace(match, rank=rank) for rank, match in enumerate(placed[:limit], start=1))

    def _visible(self, sop_instance_uid: str, caller: Caller) -> StoredInstance:
        instance = self.frames.archive.find_instance(sop_instance_uid)
        if not self.access.visible(caller, [reference_to(instance)]):
            raise NotFound(f"There is no instance {sop_instance_uid}.")
        return instance

    def _read(self, path: Path, asked: RegionOfInterest, held: Sequence[SeriesEmbedding]) -> AskedRegion:
        if not held:
            raise NotFound(f"Instance {asked.sop_instance_uid} is no part of the example.")
        whole = held[0]
        (seen,) = self.frames.encoder.feature_maps(path, [asked.frame_number])
        if seen.encoder != whole.encoder:
            raise EncoderUnavailable(
                f"The worker looks with {seen.encoder}, the index holds {whole.encoder}: ask again."
            )
        sight = sight_of(seen, asked.region)
        if sight is None:
            raise Rejected("The encoder does not look at this part of the frame.", reason="region_not_seen")
        return AskedRegion(_narrowed(whole, asked, sight.inside), sight, asked.region, whole)


def breadth(limit: int, *, alone: bool = True) -> int:
    """How many matches are looked at so that `limit` can be shown.

    Where nothing but the region is asked with, no more are shown than are looked at: the windows rank them.
    """
    looked_at = min(limit * OVERFETCH, MOST_LOOKED_AT)
    return looked_at if alone else max(limit, looked_at)


def _study_of(match: Match) -> str:
    return match.reference.study_instance_uid


def reference_to(instance: StoredInstance) -> SeriesReference:
    """As much of the series of an instance as the archive's access rules need."""
    return SeriesReference("", "", instance.series_archive_id)


def _narrowed(whole: SeriesEmbedding, asked: RegionOfInterest, inside: Vector) -> SeriesEmbedding:
    norm = float(np.linalg.norm(inside))
    if not np.isfinite(norm) or norm == 0:
        raise Rejected("The encoder sees nothing in this part of the frame.", reason="region_not_seen")
    vector = np.asarray(inside / norm, dtype=np.float32)
    frame = FrameReference(whole.frames[0].sop_class_uid, asked.sop_instance_uid, asked.frame_number)
    return replace(whole, frames=(frame,), vector=vector, frame_vectors=vector[None, :], extent="part")


def _holding(
    example: ExampleReference, series: Sequence[SeriesEmbedding], instance: StoredInstance
) -> list[SeriesEmbedding]:
    """The series of the example that holds the instance."""
    if example.sop_instance_uid is not None:
        return list(series) if example.sop_instance_uid == instance.sop_instance_uid else []
    return [one for one in series if one.reference.archive_id == instance.series_archive_id]


def _uploaded(sop_instance_uid: str, paths: Sequence[Path]) -> tuple[Path, str]:
    """The file that holds the instance, and the UID of its series. Raises NotFound."""
    for path in paths:
        with path.open("rb") as file:
            found = _uids(file)
        if found.get(_SOP_INSTANCE_UID) == sop_instance_uid:
            return path, found.get(_SERIES_INSTANCE_UID, "")
    raise NotFound(f"Instance {sop_instance_uid} is not among the files.")


def _uids(file: io.BufferedReader) -> dict[int, str]:
    try:
        values = read_elements(file, {_SOP_INSTANCE_UID, _SERIES_INSTANCE_UID}) or {}
    except Rejected:
        return {}
    return {tag: value.decode("ascii", errors="replace").strip("\0 ") for tag, value in values.items()}
