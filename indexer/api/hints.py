"""Hints of the plugin: look at this series again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from indexer.api.house import Event, TheHouse
from indexer.errors import Unavailable

MAX_EVENTS = 1000

router = APIRouter(tags=["plugin"])


class NotFollowing(Unavailable):
    """No Orthanc is followed here, which is a setting's fault and not the hints': the plugin keeps them."""

    reason = "not_following"


class EventBody(BaseModel):
    """One hint; it carries no truth, so a plugin of another version may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sequence: int
    change: Literal["new", "stable", "updated", "deleted"]
    orthanc_id: Annotated[str, Field(min_length=1, max_length=64)]
    observed_at: datetime

    def to_event(self) -> Event:
        """The hint as it is followed."""
        return Event(self.sequence, self.change, self.orthanc_id, self.observed_at)


class EventsBody(BaseModel):
    """POST /internal/events."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    events: Annotated[list[EventBody], Field(max_length=MAX_EVENTS)]


@router.post("/internal/events")
def events(body: EventsBody, house: TheHouse) -> dict[str, int]:
    """Take hints; the answer comes when the ledger has them."""
    if house.events is None:
        raise NotFollowing("This server follows no Orthanc: unset CBIR_FOLDER.")
    house.events([event.to_event() for event in body.events])
    return {"accepted": len(body.events)}
