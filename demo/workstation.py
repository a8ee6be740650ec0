"""A radiologist's workstation, as far as DICOM knows: it sends studies, and receives what comes back."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, VerificationPresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.transport import ThreadedAssociationServer

from indexer.prompt_association import PROMPT

MAX_CONTEXTS = 120
SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class Sent:
    """How a sending went: instances taken, and those refused by the receiver."""

    accepted: int
    refused: int


@dataclass
class Workstation:
    """An application entity that sends by C-STORE and listens on a loopback port for answers.

    `sheet` is the last image that came in before a report.
    """

    ae_title: str
    port: int
    received: queue.Queue[Dataset] = field(default_factory=queue.Queue)
    sheet: Dataset | None = None
    _server: ThreadedAssociationServer | None = None

    def __enter__(self) -> Workstation:
        """Listen."""
        ae = AE(self.ae_title)
        ae.supported_contexts = [*AllStoragePresentationContexts, *VerificationPresentationContexts]
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._keep)]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()

    def send(
        self,
        paths: Iterable[Path],
        *,
        port: int,
        called_ae_title: str,
        progress: Callable[[int], None] = lambda _count: None,
    ) -> Sent:
        """Send DICOM files to a loopback port, over as many associations as their kinds need.

        Raises:
            ConnectionError: the receiver does not associate with us.
        """
        accepted = refused = 0
        for batch in _batches(paths):
            association = self._associate(batch, port, called_ae_title)
            try:
                for path in batch.paths:
                    taken = _store(association, path)
                    accepted, refused = accepted + taken, refused + (not taken)
                    progress(1)
            finally:
                association.release()
        return Sent(accepted, refused)

    def next_received(self, timeout_s: float) -> Dataset | None:
        """The next dataset that came in, or None when none comes in time."""
        try:
            return self.received.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def next_report(self, timeout_s: float) -> Dataset | None:
        """The next structured report that came in, past whatever else did; None when none comes in time."""
        deadline = time.monotonic() + timeout_s
        while (received := self.next_received(max(0.0, deadline - time.monotonic()))) is not None:
            if received.Modality == "SR":
                return received
            self.sheet = received
        return None

    def _associate(self, batch: _Batch, port: int, called_ae_title: str) -> Association:
        ae = AE(self.ae_title)
        ae.requested_contexts = [build_context(sop, syntax) for sop, syntax in sorted(batch.kinds)]
        association = ae.associate("127.0.0.1", port, ae_title=called_ae_title, evt_handlers=PROMPT)
        if not association.is_established:
            raise ConnectionError(f"{called_ae_title} on port {port} refused our association.")
        return association

    def _keep(self, event: Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.put(dataset)
        return SUCCESS


@dataclass
class _Batch:
    """Files that one association can carry."""

    kinds: set[tuple[UID, UID]] = field(default_factory=set)
    paths: list[Path] = field(default_factory=list)


def _batches(paths: Iterable[Path]) -> Iterable[_Batch]:
    batch = _Batch()
    for path in paths:
        kind = _kind(path)
        if kind is None:
            continue
        if kind not in batch.kinds and len(batch.kinds) >= MAX_CONTEXTS:
            yield batch
            batch = _Batch()
        batch.kinds.add(kind)
        batch.paths.append(path)
    if batch.paths:
        yield batch


def _kind(path: Path) -> tuple[UID, UID] | None:
    """SOP class and transfer syntax, or None for a file that cannot be sent by C-STORE."""
    try:
        meta = dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
        return UID(meta.MediaStorageSOPClassUID), UID(meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError, OSError, ValueError, NotImplementedError):
        return None


def _store(association: Association, path: Path) -> bool:
    """One C-STORE of the file as it is."""
    try:
        status = association.send_c_store(path)
    except (ValueError, AttributeError):
        return False
    except RuntimeError as lost:  # the association is over
        raise ConnectionError("The receiver broke the association off.") from lost
    return bool(status) and status.Status == SUCCESS
