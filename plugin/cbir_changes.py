# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which of Orthanc's changes become hints."""

from __future__ import annotations

import logging
import sqlite3

from cbir_delivery import Delivery
from cbir_outbox import DELETED, NEW, STABLE, UPDATED, Outbox
from cbir_sdk import OrthancSdk

logger = logging.getLogger(__name__)


class ChangeListener:
    """Turns Orthanc's changes into hints, and returns at once."""

    def __init__(self, sdk: OrthancSdk, outbox: Outbox, delivery: Delivery) -> None:
        kinds = sdk.ChangeType
        self._series = sdk.ResourceType.SERIES
        self._stopped = kinds.ORTHANC_STOPPED
        # A new child instance is announced for its series: the series has grown or was overwritten.
        # The deletion of one instance names only that instance, no longer its series: the indexer's
        # comparison, whose revision counts instances, finds the series.
        self._hints = {
            kinds.NEW_SERIES: NEW,
            kinds.NEW_CHILD_INSTANCE: UPDATED,
            kinds.STABLE_SERIES: STABLE,
            kinds.DELETED: DELETED,
        }
        self._outbox = outbox
        self._delivery = delivery

    def notice(self, change: int, level: int, orthanc_id: str) -> None:
        """Orthanc's callback."""
        if change == self._stopped:
            self._stop()
        elif level == self._series and change in self._hints:
            try:
                self._outbox.record(self._hints[change], orthanc_id)
            except (sqlite3.Error, OSError) as error:
                logger.error("hint_lost error=%s advice=see_the_disk_of_the_outbox", error)  # noqa: TRY400
            self._delivery.wake()

    def _stop(self) -> None:
        if self._delivery.stop():
            self._outbox.close()
