"""Who asks, and what the archive would show to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.domain import (
    SeriesReference,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as the archive's access rules need to know.

    `name` is for the log of who asked what. `credentials` are the HTTP headers with which the archive
    is probed on the caller's behalf; None means that the caller is trusted with the whole archive (the
    local command, the administrator's token, the AE whose callers are configured).
    """

    name: str
    credentials: Mapping[str, str] | None = None


class Access(Protocol):
    """Who may see what, decided by the archive."""

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        """The archive ids, of those given, that the archive would show to this caller."""
        ...
