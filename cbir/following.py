"""How the ledger learns what the archive holds, and what follows from it, built from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cbir.settings import Settings
from indexer.adapters.folder import FolderArchive
from indexer.adapters.orthanc import OrthancArchive
from indexer.adapters.qdrant import QdrantIndex
from indexer.following import (
    Calibration,
    Calibrator,
    ChangeFollower,
    Events,
    Follower,
    Reconciler,
    Switching,
)
from indexer.ledger import Ledger, RememberedLineUps
from inference.registry import Registry


@dataclass(frozen=True, slots=True)
class Following:
    """The parts that keep the ledger and the vectors true to one archive."""

    settings: Settings
    archive: OrthancArchive | FolderArchive
    ledger: Ledger
    index: QdrantIndex
    line_ups: RememberedLineUps
    registry: Registry
    patient_key_name: str

    def events(self) -> Events:
        """Where the plugin's hints go."""
        return Events(self.ledger, archive=self.archive.name, quiet_s=self.settings.quiet_s)

    def reconciler(self) -> Reconciler:
        """The comparison of the archive, the ledger and the vectors."""
        return Reconciler(
            archive=self.archive,
            ledger=self.ledger,
            index=self.index,
            line_ups=self.line_ups,
            quiet_s=self.settings.quiet_s,
            patient_key_name=self.patient_key_name,
            is_at_hand=self.registry.is_at_hand,
        )

    def switching(self) -> Switching:
        """What lets the line-up beside take over when it is filled."""
        return Switching(line_ups=self.line_ups, ledger=self.ledger, index=self.index)

    def follower(self) -> Follower:
        """The thread that follows the archive; a folder has no log to read."""
        settings = self.settings
        return Follower(
            self.reconciler(),
            self._changes(),
            poll_s=settings.poll_s,
            reconcile_s=settings.reconcile_s,
            switching=self.switching(),
        )

    def _changes(self) -> ChangeFollower | None:
        archive = self.archive
        if not isinstance(archive, OrthancArchive):
            return None
        return ChangeFollower(archive, self.ledger, archive=archive.name, quiet_s=self.settings.quiet_s)

    def calibrator(self, wait: Callable[[float], object] = time.sleep) -> Calibrator:
        """What measures how alike unrelated series of this archive are."""
        return Calibrator(self.ledger, self.index, self.line_ups, wait)

    def calibration(self) -> Calibration:
        """The thread that measures it again when the archive has changed."""
        return Calibration(self.calibrator)
