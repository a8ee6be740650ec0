"""Where two frames look like each other, shown only to who may see both."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from indexer.api.answering import MapsBody
from indexer.api.house import House, TheCaller, TheGates
from indexer.search.pair_maps import AskedFrame, PairMaps, Way
from indexer.search.seen_frames import SeenFrames
from indexer.vocabulary import Uid

router = APIRouter(prefix="/api", tags=["ask"])

Number = Annotated[int, Query(ge=1, le=2**31 - 1)]


def pair_maps(house: House) -> PairMaps:
    """The maps over the ports of a house."""
    return PairMaps(SeenFrames(house.archive, house.encoder), house.access)


def maps_of(request: Request) -> PairMaps:
    """The maps of this application."""
    return cast("PairMaps", request.app.state.maps)


ThePairMaps = Annotated[PairMaps, Depends(maps_of)]


@router.get("/maps")
def maps(
    example_sop_instance_uid: Annotated[Uid, Query()],
    sop_instance_uid: Annotated[Uid, Query()],
    gates: TheGates,
    caller: TheCaller,
    room: ThePairMaps,
    example_frame_number: Number = 1,
    frame_number: Number = 1,
    way: Annotated[Way, Query(description="occlusion is the slow reference, one at a time")] = "features",
) -> MapsBody:
    """Where a frame of the example (from 1) looks like a frame of a match, and the other way round.

    Values in [0, 1] over `area` of the frame: 1 is the cell that adds most to the likeness of the two.
    """
    example = AskedFrame(example_sop_instance_uid, example_frame_number)
    match = AskedFrame(sop_instance_uid, frame_number)
    gate = gates.occlusions if way == "occlusion" else gates.renderings
    with gate.entered():
        return MapsBody.of(room.of_archived(example, match, caller, way))
