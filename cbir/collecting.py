"""How the cases that were found are collected and sent, built from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from cbir.settings import Settings
from indexer.adapters.dimse_store import DimseCarrier
from indexer.adapters.folder import FolderArchive
from indexer.adapters.folder.library import FolderLibrary
from indexer.adapters.orthanc import OrthancArchive
from indexer.ae.collecting import Collecting
from indexer.ae.finding import Finding
from indexer.ae.retrieving import Retrieving
from indexer.collecting import Cases, Policy, Sending, Shipping
from indexer.destinations import Destination
from indexer.ledger import Ledger
from indexer.patients import Pseudonyms
from indexer.ports import Library


@dataclass(frozen=True, slots=True)
class Collection:
    """The parts that the application entity and the page share: one policy, one number of shipments."""

    archive: OrthancArchive | FolderArchive
    library: Library
    policy: Policy
    cases: Cases
    shipping: Shipping
    carrier: DimseCarrier
    destinations: tuple[Destination, ...]
    ae_title: str

    @classmethod
    def of(
        cls,
        settings: Settings,
        archive: OrthancArchive | FolderArchive,
        ledger: Ledger,
        pseudonyms: Pseudonyms,
    ) -> Collection:
        """Build them."""
        library = _library(settings, archive)
        policy = Policy(pseudonyms, settings.identities, settings.deidentify)
        return cls(
            archive=archive,
            library=library,
            policy=policy,
            cases=Cases(ledger, library, policy, kept_for_s=settings.collect_for_s),
            shipping=Shipping(library),
            carrier=DimseCarrier(settings.ae_title),
            destinations=(*settings.destinations, *settings.callers),
            ae_title=settings.ae_title,
        )

    @property
    def by_dicom(self) -> Collecting:
        """C-FIND, C-MOVE and C-GET."""
        return Collecting(
            Finding(self.cases, self.ae_title),
            Retrieving(self.cases, self.shipping, self.carrier, self.destinations),
        )

    @property
    def sending(self) -> Sending:
        """What brings cases to a destination."""
        return Sending(
            archive=self.archive,
            library=self.library,
            access=self.archive,
            policy=self.policy,
            shipping=self.shipping,
            carrier=self.carrier,
            destinations=self.destinations,
        )


def _library(settings: Settings, archive: OrthancArchive | FolderArchive) -> Library:
    if isinstance(archive, OrthancArchive):
        return archive.library
    if settings.folder is None:
        raise TypeError("A folder archive without CBIR_FOLDER.")
    return FolderLibrary(settings.folder, archive)
