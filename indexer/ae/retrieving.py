"""C-MOVE and C-GET: a caller has its cases sent, to a configured destination or over its own association."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom import evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from indexer.ae.finding import (
    CANCELLED,
    IDENTIFIER_DOES_NOT_MATCH,
    PENDING,
    UNABLE_TO_PROCESS,
    Response,
    selected,
    status,
)
from indexer.ae.identifiers import BadIdentifier, Query, read_query, unique_keys
from indexer.collecting import Cases, Parcel, Shipping
from indexer.collecting.sending import PLACE_WAIT_S
from indexer.destinations import Destination
from indexer.errors import CbirError, NotConfigured, Unavailable
from indexer.ports import Carrier, Coding, Disguise, StoredInstance
from indexer.prompt_association import PROMPT

logger = logging.getLogger(__name__)

UNABLE_TO_PERFORM: Final = 0xA702
MOST_INSTANCES: Final = 65_535
"""The numbers of sub-operations are US (PS3.7 9.3.4.2)."""

MoveStep = tuple[str | None, int | None] | tuple[str, int, dict[str, Any]] | int | Response
GetStep = int | Response


@dataclass(frozen=True, slots=True)
class Request:
    """One C-MOVE or C-GET request as it came; `called_off` tells whether the caller has had enough."""

    caller: str
    identifier: BytesIO | None
    transfer_syntax_uid: str
    study_root: bool
    called_off: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Retrieving:
    """Answers C-MOVE and C-GET requests, step by step as pynetdicom wants it.

    A place for the shipment is waited for `place_wait_s`, before any association is opened: one that sits
    idle is dropped by its peer.
    """

    cases: Cases
    shipping: Shipping
    carrier: Carrier
    destinations: tuple[Destination, ...]
    place_wait_s: float = PLACE_WAIT_S

    def move(self, request: Request, destination_title: str) -> Iterator[MoveStep]:
        """Where to, how many, then every instance."""
        destination = self._destination(request.caller, destination_title)
        if destination is None:
            logger.warning("move_refused caller=%s reason=unknown_destination", request.caller)
            yield None, None
            return
        with ExitStack() as held:
            try:
                parcels = self._parcels(request)
                held.enter_context(self.shipping.place(timeout_s=self.place_wait_s))
                taken = self._taken(destination, parcels)
            except CbirError as error:
                yield from self._moved_not(destination, request, error)
                return
            contexts = [build_context(c.sop_class_uid, c.transfer_syntax_uid) for c in sorted(taken, key=str)]
            hung_up = threading.Event()
            yield _address(destination, contexts or [build_context(Verification)], hung_up)
            yield len(parcels)
            yield from self._sent(request, parcels, taken, destination.ae_title, hung_up)

    def get(self, request: Request, taken: Collection[Coding]) -> Iterator[GetStep]:
        """How many, then every instance; `taken` is what the caller takes on this association."""
        with ExitStack() as held:
            try:
                parcels = self._parcels(request)
                held.enter_context(self.shipping.place(timeout_s=self.place_wait_s))
            except CbirError as error:
                yield 1
                yield _failure(error), None
                return
            yield len(parcels)
            yield from self._sent(request, parcels, taken, request.caller, threading.Event())

    def _destination(self, caller: str, title: str) -> Destination | None:
        """A destination of this title; the caller's own entry is not better than another one."""
        return next((d for d in self.destinations if d.ae_title == title.strip()), None)

    def _parcels(self, request: Request) -> tuple[Parcel, ...]:
        query = read_query(request.identifier, request.transfer_syntax_uid, study_root=request.study_root)
        wanted = unique_keys(query)
        narrowed = Query(query.level, wanted, {}, unsupported=False)
        found = tuple(self.cases.recent(request.caller, wanted.get("StudyInstanceUID", ())))
        instances: dict[str, tuple[StoredInstance, Disguise | None]] = {}
        for row in selected(self.cases, found, narrowed):
            cases = (
                [case for case in found if case.patient == row.case.patient]
                if query.level == "PATIENT"
                else [row.case]
            )
            for case in cases:
                for series in (row.series,) if row.series else case.series:
                    several = (row.instance,) if row.instance else self.cases.instances(series)
                    instances |= {instance.archive_id: (instance, case.disguise) for instance in several}
        return self.shipping.parcels(list(instances.values())[:MOST_INSTANCES])

    def _taken(self, destination: Destination, parcels: Sequence[Parcel]) -> frozenset[Coding]:
        """What the destination takes: asked before, for what it does not read must be transcoded."""
        if not parcels:
            return frozenset()
        with self.carrier.open(destination, {parcel.coding for parcel in parcels}) as way:
            return way.taken

    def _sent(
        self,
        request: Request,
        parcels: Sequence[Parcel],
        taken: Collection[Coding],
        to: str,
        hung_up: threading.Event,
    ) -> Iterator[Response]:
        logger.info(
            "cases_collected caller=%s destination=%s instances=%d deidentified=%s",
            request.caller,
            to,
            len(parcels),
            any(parcel.disguise is not None for parcel in parcels),
        )
        try:
            with closing(self.shipping.unpacked(parcels, taken)) as unpacked:
                for parcel, path in unpacked:
                    if request.called_off():
                        yield CANCELLED, None
                        return
                    if hung_up.is_set():
                        logger.warning("destination_hung_up caller=%s destination=%s", request.caller, to)
                        yield status(UNABLE_TO_PERFORM, "The destination broke off the association."), None
                        return
                    try:
                        yield PENDING, _unsendable(parcel) if path is None else dcmread(path)
                    except (InvalidDicomError, OSError, ValueError):
                        yield PENDING, _unsendable(parcel)
        except CbirError as error:
            yield _failure(error), None

    def _moved_not(self, destination: Destination, request: Request, error: CbirError) -> Iterator[MoveStep]:
        """A failure can be told only once the association with the destination is there."""
        logger.warning("move_failed caller=%s reason=%s", request.caller, type(error).__name__)
        yield _address(destination, [build_context(Verification)], threading.Event())
        yield 1
        yield _failure(error), None


def _address(
    destination: Destination, contexts: list[Any], hung_up: threading.Event
) -> tuple[str, int, dict[str, Any]]:
    """Where to, for pynetdicom, which associates; `hung_up` is set once that association is over."""
    over = [(e, lambda _: hung_up.set()) for e in (evt.EVT_ABORTED, evt.EVT_RELEASED, evt.EVT_CONN_CLOSE)]
    return (
        destination.host,
        destination.port,
        {"ae_title": destination.called_ae_title, "contexts": contexts, "evt_handlers": [*PROMPT, *over]},
    )


def _failure(error: CbirError) -> Dataset:
    if isinstance(error, BadIdentifier):
        return status(IDENTIFIER_DOES_NOT_MATCH, str(error))
    if isinstance(error, Unavailable | NotConfigured):
        return status(UNABLE_TO_PERFORM, str(error))
    return status(UNABLE_TO_PROCESS, str(error))


def _unsendable(parcel: Parcel) -> Dataset:
    """What cannot be sent: without a SOP class it fails, and stands in the list of those that failed."""
    nothing = Dataset()
    nothing.SOPInstanceUID = parcel.sop_instance_uid
    return nothing
