"""The state of every series: who noticed it, who works on it, how it ended."""

from indexer.ledger.values import (
    Failed,
    Gone,
    Indexed,
    KnownSeries,
    Lease,
    Notice,
    Outcome,
    Page,
    Priority,
    SeriesRow,
    Skipped,
    State,
    StudyRow,
    TryAgain,
)

__all__ = [
    "Failed",
    "Gone",
    "Indexed",
    "KnownSeries",
    "Lease",
    "Notice",
    "Outcome",
    "Page",
    "Priority",
    "SeriesRow",
    "Skipped",
    "State",
    "StudyRow",
    "TryAgain",
]
