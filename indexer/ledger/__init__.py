"""The state of every series: who noticed it, who works on it, how it ended."""

from indexer.ledger.answers import KeptAnswer, KeptCase
from indexer.ledger.backgrounds import Background, Group
from indexer.ledger.flags import KeptFlag
from indexer.ledger.ledger import Ledger
from indexer.ledger.line_ups import RememberedLineUps
from indexer.ledger.migration import NewerSchema
from indexer.ledger.values import (
    Failed,
    Gone,
    Holders,
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
    "Background",
    "Failed",
    "Gone",
    "Group",
    "Holders",
    "Indexed",
    "KeptAnswer",
    "KeptCase",
    "KeptFlag",
    "KnownSeries",
    "Lease",
    "Ledger",
    "NewerSchema",
    "Notice",
    "Outcome",
    "Page",
    "Priority",
    "RememberedLineUps",
    "SeriesRow",
    "Skipped",
    "State",
    "StudyRow",
    "TryAgain",
]
