"""The answers of a question go to its caller by C-STORE, in one association."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from indexer.destinations import Destination
from indexer.errors import Unavailable
from indexer.prompt_association import PROMPT

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10
RESPONSE_TIMEOUT_S: Final = 60


class Undelivered(Unavailable):
    """The caller did not take its answer (yet)."""

    reason = "undelivered"


def deliver(destination: Destination, paths: Sequence[Path], *, ae_title: str) -> None:
    """Send the documents that answer one question, in their order.

    A caller that takes contact sheets and no reports, or the other way round, gets what it takes.

    Args:
        destination: where they go.
        paths: DICOM files, one a document.
        ae_title: how we call ourselves.

    Raises:
        Undelivered: no association, no document that the caller takes, or a status that is neither success
            nor a warning.
    """
    documents = [dcmread(path) for path in paths]
    association = _associated(destination, documents, ae_title)
    try:
        taken = {str(context.abstract_syntax) for context in association.accepted_contexts}
        wanted = [document for document in documents if document.SOPClassUID in taken]
        if not wanted:
            raise Undelivered(f"{destination} takes none of {_kinds(documents)}.")
        for document in wanted:
            _check(destination, _sent(association, destination, document))
    finally:
        association.release()
    if len(wanted) < len(documents):
        left_out = [document for document in documents if document.SOPClassUID not in taken]
        logger.warning("answer_not_taken destination=%s kind=%s", destination, _kinds(left_out))


def _associated(destination: Destination, documents: Sequence[Dataset], ae_title: str) -> Association:
    entity = ApplicationEntity(ae_title)
    entity.connection_timeout = entity.acse_timeout = CONNECT_TIMEOUT_S
    entity.dimse_timeout = entity.network_timeout = RESPONSE_TIMEOUT_S
    for sop_class in dict.fromkeys(document.SOPClassUID for document in documents):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        association = entity.associate(
            destination.host, destination.port, ae_title=destination.called_ae_title, evt_handlers=PROMPT
        )
    except OSError as error:  # the name has no address now, or there is no socket to be had
        raise Undelivered(f"{destination} cannot be reached ({type(error).__name__}).") from error
    if not association.is_established:
        raise Undelivered(f"{destination} {_why_not(association)}.")
    return association


def _sent(association: Association, destination: Destination, document: Dataset) -> Dataset:
    try:
        return association.send_c_store(document)
    except (ValueError, RuntimeError) as error:
        raise Undelivered(f"{destination} does not take {_kinds([document])}: {error}") from error


def _check(destination: Destination, status: Dataset) -> None:
    """0x0000 is success, 0xBxxx a warning: stored all the same (PS3.4 B.2.3)."""
    code = status.get("Status")
    if code is None:
        raise Undelivered(f"{destination} did not confirm the answer.")
    if code != 0 and code & 0xF000 != 0xB000:
        raise Undelivered(f"{destination} refused the answer with status 0x{code:04X}.")


def _kinds(documents: Sequence[Dataset]) -> str:
    return ", ".join(document.SOPClassUID.name.removesuffix(" Storage") for document in documents)


def _why_not(association: Association) -> str:
    if association.is_rejected:
        return "rejected the association: is our AE title known there, and the called one right?"
    if association.is_aborted:
        return "cannot be reached, or broke the association off"
    return "cannot be reached"
