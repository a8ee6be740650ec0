"""What Orthanc shows to a caller's own credentials, remembered for the seconds of one question."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Set
from typing import Final

from indexer.adapters.orthanc.rest import OrthancRest

REMEMBERED_S: Final = 3.0
REMEMBERED_ANSWERS: Final = 20_000


class Probes:
    """Asks Orthanc with the caller's headers; one caller's answers are never another's."""

    def __init__(self, rest: OrthancRest, *, remembered_s: float = REMEMBERED_S) -> None:
        """Probe through `rest`; remember an answer for a few seconds, zero for not at all."""
        self._rest = rest
        self._remembered_s = remembered_s
        self._lock = threading.Lock()
        self._answers: dict[tuple[bytes, str], tuple[float, bool]] = {}

    def visible(self, credentials: Mapping[str, str], archive_ids: Set[str]) -> frozenset[str]:
        """Those of the series that Orthanc shows. Raises ArchiveUnavailable."""
        caller = _digest(credentials)
        answers = self._recall(caller, archive_ids)
        asked = {f"/series/{archive_id}": archive_id for archive_id in archive_ids - answers.keys()}
        probed = self._rest.probe(list(asked), credentials)
        fresh = {asked[path]: shown for path, shown in probed.items()}
        self._remember(caller, fresh)
        return frozenset(archive_id for archive_id, shown in {**answers, **fresh}.items() if shown)

    def _recall(self, caller: bytes, archive_ids: Set[str]) -> dict[str, bool]:
        now = time.monotonic()
        with self._lock:
            found = {i: self._answers[caller, i] for i in archive_ids if (caller, i) in self._answers}
        return {archive_id: shown for archive_id, (until, shown) in found.items() if until > now}

    def _remember(self, caller: bytes, fresh: Mapping[str, bool]) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._answers) + len(fresh) > REMEMBERED_ANSWERS:
                self._answers = {key: kept for key, kept in self._answers.items() if kept[0] > now}
            if len(self._answers) + len(fresh) <= REMEMBERED_ANSWERS:
                for archive_id, shown in fresh.items():
                    self._answers[caller, archive_id] = (now + self._remembered_s, shown)


def _digest(credentials: Mapping[str, str]) -> bytes:
    """Of names and values with their lengths, so that no two sets of headers look alike."""
    parts = sorted(f"{len(name)} {name} {len(value)} {value}" for name, value in credentials.items())
    return hashlib.sha256("\n".join(parts).encode()).digest()
