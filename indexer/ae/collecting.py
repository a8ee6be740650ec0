"""The Query/Retrieve side of the application entity: pynetdicom's events become requests of ours."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from pynetdicom.ae import ApplicationEntity as NetworkEntity
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from indexer.ae.finding import Finding, Response
from indexer.ae.retrieving import GetStep, MoveStep, Request, Retrieving
from indexer.ports import Coding

logger = logging.getLogger(__name__)

MODELS: Final = (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelMove,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
)
_STUDY_ROOT: Final = frozenset(str(model) for model in MODELS[3:])

Step = TypeVar("Step")


class _Broken(Exception):
    """A fault of ours, without its text."""


@dataclass(frozen=True, slots=True)
class Collecting:
    """How callers collect their cases."""

    finding: Finding
    retrieving: Retrieving

    def find(self, event: Event, caller: str, called: str) -> Iterator[Response]:
        """Answer a C-FIND to the title of ours that was called."""
        request = _request(event, caller)
        found = self.finding.responses(
            caller,
            called,
            request.identifier,
            request.transfer_syntax_uid,
            study_root=request.study_root,
            is_cancelled=request.called_off,
        )
        return _guarded("C-FIND", found)

    def move(self, event: Event, caller: str) -> Iterator[MoveStep]:
        """Answer a C-MOVE."""
        title = str(cast(C_MOVE, event.request).MoveDestination or "")
        return _guarded("C-MOVE", self.retrieving.move(_request(event, caller), title))

    def get(self, event: Event, caller: str) -> Iterator[GetStep]:
        """Answer a C-GET with what the caller takes on this association, where it is the SCP."""
        taken = frozenset(
            Coding(str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in event.assoc.accepted_contexts
            if context.as_scu
        )
        return _guarded("C-GET", self.retrieving.get(_request(event, caller), taken))


def support_collecting(entity: NetworkEntity) -> None:
    """Offer both information models, and every storage class with the roles turned round, for C-GET."""
    for context in entity.supported_contexts:
        context.scu_role = context.scp_role = True
    for model in MODELS:
        entity.add_supported_context(model)


def _request(event: Event, caller: str) -> Request:
    sent = cast("C_FIND | C_MOVE | C_GET", event.request)
    return Request(
        caller=caller,
        identifier=sent.Identifier,
        transfer_syntax_uid=str(event.context.transfer_syntax),
        study_root=str(sent.AffectedSOPClassUID) in _STUDY_ROOT,
        called_off=lambda: bool(event.is_cancelled),
    )


def _guarded(what: str, steps: Iterator[Step]) -> Iterator[Step]:
    """A fault's text may quote a patient, and pynetdicom would log it: only its kind and place are kept."""
    try:
        yield from steps
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, its text goes no further
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error("collecting_broken what=%s error=%s\n%s", what, type(error).__name__, place)  # noqa: TRY400
        raise _Broken(f"{what} failed.") from None
