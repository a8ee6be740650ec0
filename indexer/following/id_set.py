"""A set of a million archive ids in eight megabytes."""

from __future__ import annotations

import hashlib
import secrets
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


class IdSet:
    """Keeps 64-bit hashes under a salt of its own, not the ids.

    Two ids of a million share a hash once in ten million sets; another set has another salt, so what one
    comparison overlooks the next one finds.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._hashes = array("Q")
        self._sorted: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self._hashes)

    def update(self, archive_ids: Iterable[str]) -> None:
        """Put ids in."""
        self._hashes.extend(self._hash(archive_id) for archive_id in archive_ids)
        self._sorted = None

    def absent(self, archive_ids: Sequence[str]) -> list[str]:
        """Those of these ids that are not in the set, in their order."""
        if self._sorted is None:
            self._sorted = np.sort(np.array(self._hashes, dtype=np.uint64))
        asked = np.array([self._hash(archive_id) for archive_id in archive_ids], dtype=np.uint64)
        first = np.searchsorted(self._sorted, asked, side="left")
        last = np.searchsorted(self._sorted, asked, side="right")
        return [archive_id for archive_id, is_in in zip(archive_ids, last > first, strict=True) if not is_in]

    def _hash(self, archive_id: str) -> int:
        digest = hashlib.blake2b(archive_id.encode(), digest_size=8, key=self._salt).digest()
        return int.from_bytes(digest, "little")
