"""An answer goes to its caller by C-STORE."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from indexer.destinations import Destination
from indexer.errors import Unavailable

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10
RESPONSE_TIMEOUT_S: Final = 60


class Undelivered(Unavailable):
    """The caller did not take its answer (yet)."""

    reason = "undelivered"


def deliver(destination: Destination, path: Path, *, ae_title: str) -> None:
    """Send one Comprehensive SR.

    Args:
        destination: where it goes.
        path: the DICOM file.
        ae_title: how we call ourselves.

    Raises:
        Undelivered: no association, or a status that is neither success nor a warning.
    """
    entity = ApplicationEntity(ae_title)
    entity.connection_timeout = entity.acse_timeout = CONNECT_TIMEOUT_S
    entity.dimse_timeout = entity.network_timeout = RESPONSE_TIMEOUT_S
    entity.add_requested_context(ComprehensiveSRStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        association = entity.associate(
            destination.host, destination.port, ae_title=destination.called_ae_title
        )
    except OSError as error:  # the name has no address now, or there is no socket to be had
        raise Undelivered(f"{destination} cannot be reached ({type(error).__name__}).") from error
    if not association.is_established:
        raise Undelivered(f"{destination} {_why_not(association)}.")
    try:
        status = association.send_c_store(dcmread(path))
    except (ValueError, RuntimeError) as error:
        raise Undelivered(f"{destination} does not take Comprehensive SR: {error}") from error
    finally:
        association.release()
    _check(destination, status)


def _check(destination: Destination, status: Dataset) -> None:
    """0x0000 is success, 0xBxxx a warning: stored all the same (PS3.4 B.2.3)."""
    code = status.get("Status")
    if code is None:
        raise Undelivered(f"{destination} did not confirm the answer.")
    if code != 0 and code & 0xF000 != 0xB000:
        raise Undelivered(f"{destination} refused the answer with status 0x{code:04X}.")


def _why_not(association: Association) -> str:
    if association.is_rejected:
        return "rejected the association: is our AE title known there, and the called one right?"
    if association.is_aborted:
        return "cannot be reached, or broke the association off"
    return "cannot be reached"
