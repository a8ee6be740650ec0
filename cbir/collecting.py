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
from indexer.collecting import Cases, Choosing, Keeping, Policy, Recalling, Sending, Shipping
from indexer.collecting.patients import Indexed, IndexedLibrary
from indexer.ledger import Ledger
from indexer.patients import Pseudonyms
from indexer.ports import Library


@dataclass(frozen=True, slots=True)
class Collection:
    """The parts that the application entity and the page share: one policy, one number of shipments."""

    cases: Cases
    finding: Finding
    sending: Sending
    keeping: Keeping
    retrieving: Retrieving
    choosing: Choosing

    @classmethod
    def of(
        cls,
        settings: Settings,
        archive: OrthancArchive | FolderArchive,
        ledger: Ledger,
        pseudonyms: Pseudonyms,
        indexed: Indexed,
    ) -> Collection:
        """Build them; `indexed` tells what is indexed of series."""
        library = IndexedLibrary(_library(settings, archive), indexed)
        policy = Policy(pseudonyms, settings.identities, settings.deidentify)
        cases = Cases(ledger, library, policy, kept_for_s=settings.collect_for_s)
        shipping = Shipping(library, max_instance_bytes=settings.max_instance_bytes)
        carrier = DimseCarrier(settings.ae_title)
        destinations = (*settings.destinations, *settings.callers)
        sending = Sending(
            archive=archive,
            library=library,
            access=archive,
            policy=policy,
            shipping=shipping,
            carrier=carrier,
            destinations=destinations,
        )
        return cls(
            cases=cases,
            finding=Finding(cases, frozenset(preset.ae_title for preset in settings.ae_presets)),
            sending=sending,
            keeping=Keeping(ledger, cases, sending, push_top=settings.push_top),
            retrieving=Retrieving(cases, shipping, carrier, destinations),
            choosing=Choosing(
                ledger,
                cases,
                Recalling(archive, library, archive, policy, settings.max_instance_bytes),
                kept_for_s=settings.collect_for_s,
            ),
        )

    @property
    def by_dicom(self) -> Collecting:
        """C-FIND, C-MOVE and C-GET."""
        return Collecting(self.finding, self.retrieving)


def _library(settings: Settings, archive: OrthancArchive | FolderArchive) -> Library:
    if isinstance(archive, OrthancArchive):
        return archive.library
    if settings.folder is None:
        raise TypeError("A folder archive without CBIR_FOLDER.")
    return FolderLibrary(settings.folder, archive)
