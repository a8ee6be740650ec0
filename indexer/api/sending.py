"""Sending chosen cases to a configured destination."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from indexer.api.asking import Strict, Uid
from indexer.api.house import House, TheCaller, TheGates, TheHouse
from indexer.collecting import Deidentify, Sending, SentStudy
from indexer.collecting.sending import MAX_STUDIES
from indexer.errors import NotConfigured

router = APIRouter(prefix="/api", tags=["send"])


class SendBody(Strict):
    """POST /api/send: which studies, where to.

    `example` is the study that was asked about, where there is one: with CBIR_DEIDENTIFY=others, other
    studies that are indexed as of its patient go out as they are, and the example itself does not.
    """

    studies: Annotated[list[Uid], Field(min_length=1, max_length=MAX_STUDIES)]
    destination: Annotated[str, Field(min_length=1, max_length=16)]
    example: Uid | None = None


class SentStudyBody(BaseModel):
    """How many instances of a study arrived, and how many did not."""

    model_config = ConfigDict(frozen=True)

    study_instance_uid: str
    sent: int
    failed: int

    @classmethod
    def of(cls, study: SentStudy) -> SentStudyBody:
        """One study."""
        return cls(study_instance_uid=study.study_instance_uid, sent=study.sent, failed=study.failed)


class SentBody(BaseModel):
    """What became of a sending: sums, and study by study."""

    model_config = ConfigDict(frozen=True)

    destination: str
    sent: int
    failed: int
    studies: list[SentStudyBody]


class DestinationsBody(BaseModel):
    """The AE titles that cases may be sent to.

    `deidentify` says which go out without who they are: "never" none, "always" all, "others" those of other
    patients than the example's. None where nothing can be sent.
    """

    model_config = ConfigDict(frozen=True)

    destinations: list[str]
    deidentify: Deidentify | None


@router.get("/destinations")
def destinations(house: TheHouse) -> DestinationsBody:
    """Where cases may be sent; empty where nothing is configured."""
    sending = house.sending
    if sending is None:
        return DestinationsBody(destinations=[], deidentify=None)
    return DestinationsBody(destinations=list(sending.destinations), deidentify=sending.deidentify)


@router.post("/send")
def send(body: SendBody, house: TheHouse, gates: TheGates, caller: TheCaller) -> SentBody:
    """Send whole studies that the caller may see; the answer comes when the last instance was sent."""
    with gates.sendings.entered():
        sent = _sending(house).send(body.studies, body.destination, caller, example=body.example or "")
    return SentBody(
        destination=body.destination,
        sent=sum(study.sent for study in sent),
        failed=sum(study.failed for study in sent),
        studies=[SentStudyBody.of(study) for study in sent],
    )


def _sending(house: House) -> Sending:
    if house.sending is None or not house.sending.destinations:
        raise NotConfigured(
            "Nothing can be sent from here: name destinations in CBIR_DESTINATIONS or CBIR_CALLERS.",
            reason="no_destination",
        )
    return house.sending
