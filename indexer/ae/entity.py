"""The CBIR application entity: C-STORE to ask, C-FIND, C-MOVE and C-GET to collect; nothing is archived."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, Final, cast

from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.ae import ApplicationEntity as NetworkEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from indexer.ae.admission import Admission, Admitted, NotAdmitted
from indexer.ae.collecting import Collecting, support_collecting
from indexer.ae.questions import Questions
from indexer.answers.example import read_instance
from indexer.destinations import Destination
from indexer.errors import Rejected, TooLarge, Unavailable
from indexer.prompt_association import PROMPT

logger = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
NOT_AUTHORISED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000

REJECTED_PERMANENT: Final = 0x01
BY_SERVICE_USER: Final = 0x01

MAXIMUM_ASSOCIATIONS: Final = 256
# What dcmtk sends at most; an unlimited PDU would let a peer announce any length.
MAXIMUM_PDU_BYTES: Final = 131_072
IDLE_TIMEOUT_S: Final = 60
# A peer that connects and asks for no association holds a place for as long.
REQUEST_TIMEOUT_S: Final = 10
ABORT_TIMEOUT_S: Final = 2.0

# Retired, and still what old archives hold: multi-frame ultrasound, nuclear medicine, ultrasound, XA biplane.
RETIRED_IMAGE_STORAGE: Final = (
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.5",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.12.3",
)


class ApplicationEntity:
    """Listens for callers and hands what they send to the questions."""

    def __init__(
        self,
        *,
        ae_title: str,
        host: str,
        port: int,
        callers: tuple[Destination, ...],
        questions: Questions,
        max_instance_bytes: int = 2**30,
        tls: ssl.SSLContext | None = None,
        collecting: Collecting | None = None,
        presets: tuple[str, ...] = (),
    ) -> None:
        """Take where to listen, who may call, who is told, and how the cases found are collected.

        `presets` are our further AE titles: what is sent to one of them is received as called so. Port 0
        takes a free one. With `tls` the port speaks nothing else; a second entity over the same questions
        serves the other port.
        """
        self._ae_title = ae_title.strip()
        self._admission = Admission((self._ae_title, *presets), callers)
        self._address = (host, port)
        self._questions = questions
        self._max_instance_bytes = max_instance_bytes
        self._tls = tls
        self._admitted: dict[Association, Admitted] = {}
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None
        self._entity = _network_entity(ae_title)
        self._collecting = collecting
        if collecting is not None:
            support_collecting(self._entity)

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self._address[1]
        return int(self._server.server_address[1])

    @property
    def connections(self) -> int:
        """How many peers are connected, associated or not yet."""
        return len(self._entity.active_associations)

    def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        if not self._admission.callers:
            logger.warning("ae_refuses_everybody hint=%s", "name the callers in CBIR_CALLERS")
        handlers: list[Any] = [
            *PROMPT,
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_C_MOVE, self._on_move),
            (evt.EVT_C_GET, self._on_get),
            *((ended, self._on_ended) for ended in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)),
        ]
        self._server = self._entity.start_server(
            self._address, block=False, evt_handlers=handlers, ssl_context=self._tls
        )
        logger.info(
            "ae_listening ae_titles=%s host=%s port=%d",
            ",".join(self._admission.ae_titles),
            self._address[0],
            self.port,
        )

    def stop(self) -> None:
        """Stop listening and abort what is open; senders repeat what was not acknowledged."""
        if self._server is not None:
            self._server.shutdown()
        self._wait_for_rejected()
        self._abort_all()
        self._entity.shutdown()
        self._server = None

    def _on_requested(self, event: Event) -> None:
        """Admit or reject. pynetdicom goes on when a handler fails, so a failure must reject too."""
        association = event.assoc
        calling = called = address = ""
        try:
            request = cast(A_ASSOCIATE, association.requestor.primitive)
            calling, called = request.calling_ae_title, request.called_ae_title
            address = association.requestor.address
            admitted = self._admission.admit(calling, called, address)
        except NotAdmitted as refusal:
            logger.warning(
                "association_rejected calling=%r called=%r address=%s reason=%s",
                calling,
                called,
                address,
                refusal,
            )
            self._reject(association, refusal.diagnostic)
        except Exception:
            logger.exception("association_rejected reason=%s", "internal error")
            self._reject(association, NotAdmitted("").diagnostic)
        else:
            with self._lock:
                self._admitted[association] = admitted

    def _reject(self, association: Association, diagnostic: int) -> None:
        association.acse.send_reject(REJECTED_PERMANENT, BY_SERVICE_USER, diagnostic)
        association.kill()

    def _wait_for_rejected(self) -> None:
        """Let those that were rejected read why, and hang up."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        for association in self._entity.active_associations:
            if association.is_rejected:
                association.join(max(0.0, deadline - time.monotonic()))

    def _abort_all(self) -> None:
        """Tell every peer, and hang up on those that cannot be told: they are in the middle of a PDU."""
        deadline = time.monotonic() + ABORT_TIMEOUT_S
        for association in (connected := self._entity.active_associations):
            association.abort(block=False)
        for association in connected:
            if association.dul.is_alive():
                association.dul.join(max(0.0, deadline - time.monotonic()))
            _hang_up(association)

    def _on_ended(self, event: Event) -> None:
        with self._lock:
            self._admitted.pop(event.assoc, None)
        self._questions.let_go(event.assoc)

    def _who(self, event: Event) -> Admitted | None:
        with self._lock:
            return self._admitted.get(event.assoc)

    def _on_echo(self, event: Event) -> int:
        return SUCCESS if self._who(event) is not None else NOT_AUTHORISED

    def _on_store(self, event: Event) -> int:
        """Acknowledge what is safe on the disk, refuse the rest with its reason (PS3.4 B.2.3)."""
        admitted = self._who(event)
        if admitted is None:
            return NOT_AUTHORISED
        try:
            self._receive(event, admitted)
        except TooLarge as error:
            return _refused(admitted.caller, error, OUT_OF_RESOURCES)
        except Rejected as error:
            status = DOES_NOT_MATCH if error.reason == "does_not_match" else CANNOT_UNDERSTAND
            return _refused(admitted.caller, error, status)
        except Unavailable as error:
            return _refused(admitted.caller, error, OUT_OF_RESOURCES)
        return SUCCESS

    def _on_find(self, event: Event) -> Iterator[Any]:
        admitted = self._who(event)
        if admitted is None or self._collecting is None:
            yield NOT_AUTHORISED, None
        else:
            yield from self._collecting.find(event, admitted.caller.ae_title, admitted.called)

    def _on_move(self, event: Event) -> Iterator[Any]:
        admitted = self._who(event)
        if admitted is None or self._collecting is None:
            yield None, None
        else:
            yield from self._collecting.move(event, admitted.caller.ae_title)

    def _on_get(self, event: Event) -> Iterator[Any]:
        admitted = self._who(event)
        if admitted is None or self._collecting is None:
            yield 1
            yield NOT_AUTHORISED, None
        else:
            yield from self._collecting.get(event, admitted.caller.ae_title)

    def _receive(self, event: Event, admitted: Admitted) -> None:
        content = event.encoded_dataset(include_meta=True)
        if len(content) > self._max_instance_bytes:
            raise TooLarge("The instance is larger than CBIR_MAX_INSTANCE_BYTES.")
        instance = read_instance(BytesIO(content))
        request = cast(C_STORE, event.request)
        if (instance.sop_class_uid, instance.sop_instance_uid) != (
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
        ):
            raise Rejected("The dataset is not the instance it is announced as.", reason="does_not_match")
        called = "" if admitted.called == self._ae_title else admitted.called
        self._questions.receive(event.assoc, admitted.caller, instance, content, called)


def _hang_up(association: Association) -> None:
    """Its own thread may close the connection at any moment."""
    connection = association.dul.socket
    with suppress(OSError, AttributeError):
        cast(Any, connection).socket.shutdown(socket.SHUT_RDWR)


def _refused(caller: Destination, error: Rejected | Unavailable, status: int) -> int:
    logger.warning(
        "instance_refused caller=%s status=0x%04X reason=%s", caller.ae_title, status, error.reason
    )
    return status


def _network_entity(ae_title: str) -> NetworkEntity:
    """Every storage SOP class in every transfer syntax: pixels are kept as they are encoded."""
    entity = NetworkEntity(ae_title)
    entity.maximum_associations = MAXIMUM_ASSOCIATIONS
    entity.maximum_pdu_size = MAXIMUM_PDU_BYTES
    entity.acse_timeout = REQUEST_TIMEOUT_S
    entity.dimse_timeout = IDLE_TIMEOUT_S
    entity.network_timeout = IDLE_TIMEOUT_S
    entity.add_supported_context(Verification)
    storage = [context.abstract_syntax for context in AllStoragePresentationContexts]
    for abstract_syntax in (*storage, *RETIRED_IMAGE_STORAGE):
        if abstract_syntax is not None:
            entity.add_supported_context(abstract_syntax, ALL_TRANSFER_SYNTAXES)
    return entity
