"""Instances on their way out of the archive: few at a time on the disk, each as its taker can read it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from indexer.collecting.anonymity import IMAGE_STORAGE, says_that_it_names
from indexer.errors import NotConfigured, Overloaded
from indexer.ports import Coding, Disguise, Library, StoredInstance, WantedCopy

logger = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Instances that are fetched together, four at the same time, and are on the disk together."""
CODED_AT_ONCE: Final = 1000
SHIPMENTS: Final = 4
"""Shipments under way at the same time; more wait for their turn."""

EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
REWRITABLE: Final = frozenset({EXPLICIT, IMPLICIT, DEFLATED})
"""Transfer syntaxes that are written anew in each other without touching a pixel."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One instance that shall be sent, how it is stored, and what its copy is called."""

    instance: StoredInstance
    coding: Coding
    disguise: Disguise | None

    @property
    def sop_instance_uid(self) -> str:
        """The SOP Instance UID that the taker will see."""
        own = self.instance.sop_instance_uid
        return own if self.disguise is None else self.disguise.uid(own)

    @property
    def may_leave(self) -> bool:
        """Whether it is an image, where its copy must name nobody."""
        return self.disguise is None or self.coding.sop_class_uid in IMAGE_STORAGE


class Shipping:
    """Takes copies out of the archive, for whoever sends them."""

    def __init__(
        self, library: Library, *, shipments: int = SHIPMENTS, max_instance_bytes: int = 2**30
    ) -> None:
        """Take them from `library`, for `shipments` senders at once; what is larger is not sent."""
        self._library = library
        self._max_instance_bytes = max_instance_bytes
        self._places = threading.BoundedSemaphore(shipments)

    def parcels(self, instances: Iterable[tuple[StoredInstance, Disguise | None]]) -> tuple[Parcel, ...]:
        """What is to be sent; what is gone meanwhile is left out.

        Raises:
            NotConfigured: this archive cannot de-identify what must be.
        """
        wanted = list(instances)
        if not self._library.can_disguise and any(disguise is not None for _, disguise in wanted):
            raise NotConfigured(
                "This archive cannot de-identify, so nothing is sent: CBIR_DEIDENTIFY needs an Orthanc.",
                reason="cannot_deidentify",
            )
        parcels: list[Parcel] = []
        for start in range(0, len(wanted), CODED_AT_ONCE):
            chunk = wanted[start : start + CODED_AT_ONCE]
            codings = self._library.codings([instance for instance, _ in chunk])
            parcels.extend(
                Parcel(instance, codings[instance.archive_id], disguise)
                for instance, disguise in chunk
                if instance.archive_id in codings
            )
        return tuple(parcels)

    @contextmanager
    def place(self, *, timeout_s: float) -> Iterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            Overloaded: every place was taken for `timeout_s`.
        """
        if not self._places.acquire(timeout=timeout_s):
            raise Overloaded("Too many sendings are under way: try again later.")
        try:
            yield
        finally:
            self._places.release()

    def unpacked(
        self, parcels: Sequence[Parcel], taken: Collection[Coding]
    ) -> Generator[tuple[Parcel, Path | None], None, None]:
        """Every parcel with its file, which is there until the next one is asked for.

        The path is None for an instance that is gone, lost or too large, that its taker cannot read, or
        that the archive cannot make readable for it. The order is not that of the parcels.
        """
        takes = frozenset(taken)
        for start in range(0, len(parcels), AT_ONCE):
            with TemporaryDirectory(prefix="cbir-sending-") as folder:
                yield from self._fetched(parcels[start : start + AT_ONCE], takes, Path(folder))

    def _fetched(
        self, parcels: Sequence[Parcel], taken: frozenset[Coding], into: Path
    ) -> Iterator[tuple[Parcel, Path | None]]:
        waiting = {parcel.instance.archive_id: parcel for parcel in parcels}
        wanted = [
            WantedCopy(parcel.instance, syntax, parcel.disguise)
            for parcel in parcels
            if parcel.may_leave
            and self._is_small_enough(parcel.instance)
            and (syntax := syntax_to_ask_for(parcel.coding, taken)) is not None
        ]
        for fetched in self._library.copies(wanted, into):
            parcel = waiting.pop(fetched.instance.archive_id)
            names = parcel.disguise is not None and says_that_it_names(fetched.path)
            yield parcel, None if names else fetched.path
            if fetched.path.is_relative_to(into):
                fetched.path.unlink(missing_ok=True)
        for parcel in waiting.values():
            yield parcel, None

    def _is_small_enough(self, instance: StoredInstance) -> bool:
        if instance.size_bytes <= self._max_instance_bytes:
            return True
        logger.warning(
            "instance_too_large instance=%s size_bytes=%d limit_bytes=%d",
            instance.archive_id,
            instance.size_bytes,
            self._max_instance_bytes,
        )
        return False


def syntax_to_ask_for(coding: Coding, taken: frozenset[Coding]) -> str | None:
    """The transfer syntax that the archive must write an instance in, for a taker of `taken`.

    Returns:
        "" for as it is stored (what is not compressed is rewritten on the way), None where the taker reads
        neither it nor anything that it could become.
    """
    if coding in taken:
        return ""
    readable = [s for s in (EXPLICIT, IMPLICIT) if Coding(coding.sop_class_uid, s) in taken]
    if not readable:
        return None
    return "" if coding.transfer_syntax_uid in REWRITABLE else readable[0]
