"""Instances go to another application entity by C-STORE."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from indexer.destinations import Destination
from indexer.errors import Unavailable
from indexer.ports import Coding
from indexer.prompt_association import PROMPT

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10
RESPONSE_TIMEOUT_S: Final = 60
MAX_CONTEXTS: Final = 128
BROKEN_OFF: Final = "The destination broke off the association: what is missing must be sent again."
UNCOMPRESSED: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


class NotTaken(Unavailable):
    """A destination cannot be reached, or takes nothing of what it is offered."""

    reason = "destination_unavailable"


class DimseCarrier:
    """`Carrier` over DICOM associations, one at a time and destination."""

    def __init__(self, ae_title: str) -> None:
        """Call ourselves so."""
        self._ae_title = ae_title

    @contextmanager
    def open(self, destination: Destination, codings: Collection[Coding]) -> Iterator[DimseCarriage]:
        """Associate; what a destination does not take in its coding is offered uncompressed too.

        Raises:
            NotTaken: there is no association to be had.
        """
        entity = ApplicationEntity(self._ae_title)
        entity.connection_timeout = entity.acse_timeout = CONNECT_TIMEOUT_S
        entity.dimse_timeout = entity.network_timeout = RESPONSE_TIMEOUT_S
        entity.requested_contexts = contexts_for(codings)
        try:
            association = entity.associate(
                destination.host,
                destination.port,
                ae_title=destination.called_ae_title,
                evt_handlers=PROMPT,
            )
        except OSError as error:  # the name has no address now, or there is no socket to be had
            raise NotTaken(f"{destination} cannot be reached ({type(error).__name__}).") from error
        if not association.is_established:
            raise NotTaken(
                f"{destination} rejects us or cannot be reached: does it know our AE title {self._ae_title}?"
            )
        try:
            yield DimseCarriage(association)
        finally:
            association.release()


class DimseCarriage:
    """One open association."""

    def __init__(self, association: Association) -> None:
        """Take an association that is established."""
        self._association = association
        self._is_broken = False
        self.taken = frozenset(
            Coding(str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in association.accepted_contexts
        )

    def store(self, path: Path) -> bool:
        """Send one DICOM file; a warning (0xBxxx) is stored all the same (PS3.4 B.2.3).

        Raises:
            NotTaken: the association is over, now or since an instance before.
        """
        self._refuse_a_broken_way()
        try:
            status = self._association.send_c_store(dcmread(path)).get("Status")
        except (ValueError, AttributeError, RuntimeError, InvalidDicomError, OSError) as error:
            self._refuse_a_broken_way()
            logger.warning("instance_not_sent error=%s", type(error).__name__)
            return False
        if status is None:  # pynetdicom ends the association with whoever does not answer, or not sensibly
            self._is_broken = True  # the association itself may say so later
            raise NotTaken(BROKEN_OFF)
        if status != 0 and status & 0xF000 != 0xB000:
            logger.warning("instance_not_taken status=0x%04X", status)
            return False
        return True

    def _refuse_a_broken_way(self) -> None:
        if self._is_broken or not self._association.is_established:
            raise NotTaken(BROKEN_OFF)


def contexts_for(codings: Collection[Coding]) -> list[PresentationContext]:
    """A context a coding, and one a SOP class for what the archive would have to decompress first."""
    ordered = sorted(codings, key=lambda c: (c.sop_class_uid, c.transfer_syntax_uid))
    compressed = [c for c in ordered if c.transfer_syntax_uid not in UNCOMPRESSED]
    contexts = [
        build_context(uid, list(UNCOMPRESSED)) for uid in dict.fromkeys(c.sop_class_uid for c in ordered)
    ]
    contexts += [build_context(c.sop_class_uid, c.transfer_syntax_uid) for c in compressed]
    return contexts[:MAX_CONTEXTS]
