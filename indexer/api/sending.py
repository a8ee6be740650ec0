"""Sending chosen cases to a configured destination."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from indexer.api.house import House, TheCaller, TheHouse, TheSettings, TheUnderway
from indexer.api.underway import Followed, State
from indexer.collecting import Deidentify, Sending, SentStudy
from indexer.collecting.sending import MAX_STUDIES
from indexer.errors import NotConfigured
from indexer.vocabulary import Strict, Uid
from indexer.wire import Problem

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


class SendingBody(BaseModel):
    """How far a sending is: sums, and study by study.

    `state` is "sending" while it goes on; "done", whatever arrived; or "failed" where it ended before:
    `reason` and `message` say why, and what is missing must be sent again. `instances` are those to send.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    destination: str
    state: State
    instances: int
    sent: int
    failed: int
    studies: list[SentStudyBody]
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, followed: Followed) -> SendingBody:
        """One sending."""
        state, studies, error = followed.state, followed.studies, followed.error
        problem = Problem.of(error) if error else None
        return cls(
            id=followed.sending_id,
            destination=followed.shipment.destination.ae_title,
            state=state,
            instances=followed.shipment.instances,
            sent=sum(study.sent for study in studies),
            failed=sum(study.failed for study in studies),
            studies=[SentStudyBody.of(study) for study in studies],
            reason=problem.reason if problem else "",
            message=problem.detail if problem else "",
        )


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


@router.post("/send", responses={202: {"model": SendingBody}})
def send(
    body: SendBody,
    house: TheHouse,
    settings: TheSettings,
    caller: TheCaller,
    underway: TheUnderway,
    response: Response,
) -> SendingBody:
    """Send whole studies that the caller may see.

    200 when all of it is over at once, 202 where it goes on: GET /api/sendings/{id} tells how far it is.
    To ask for it again meanwhile is to send it twice.
    """
    sending = _sending(house)
    shipment = sending.prepared(body.studies, body.destination, caller, example=body.example or "")
    followed = underway.begin(sending, shipment)
    followed.wait(settings.sending_wait_s)
    if followed.error is not None:
        raise followed.error
    if followed.state == "sending":
        response.status_code = 202
    return SendingBody.of(followed)


@router.get("/sendings/{sending_id}")
def sending(sending_id: str, underway: TheUnderway, caller: TheCaller) -> SendingBody:
    """How far a sending of this caller is; one of the last 200 since the service was started."""
    return SendingBody.of(underway.find(sending_id, caller.name))


def _sending(house: House) -> Sending:
    if house.sending is None or not house.sending.destinations:
        raise NotConfigured(
            "Nothing can be sent from here: name destinations in CBIR_DESTINATIONS or CBIR_CALLERS.",
            reason="no_destination",
        )
    return house.sending
