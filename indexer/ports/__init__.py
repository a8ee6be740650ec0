"""What the use cases need from the world: archive, encoder, vector index, carrier, and who may see what."""

from indexer.ports.access import Access, Caller
from indexer.ports.archive import (
    Archive,
    Change,
    ChangeKind,
    ChangeLog,
    ChangePage,
    FetchedInstance,
    ListedSeries,
    StoredInstance,
    StoredSeries,
)
from indexer.ports.carrier import Carriage, Carrier, Receipt
from indexer.ports.encoder import MOST_REPORTS, Encoder, TextEmbedding, Window, window_or_none
from indexer.ports.library import ArchivedSeries, ArchivedStudy, Coding, Disguise, Library, WantedCopy
from indexer.ports.vector_index import VectorIndex

__all__ = [
    "MOST_REPORTS",
    "Access",
    "Archive",
    "ArchivedSeries",
    "ArchivedStudy",
    "Caller",
    "Carriage",
    "Carrier",
    "Change",
    "ChangeKind",
    "ChangeLog",
    "ChangePage",
    "Coding",
    "Disguise",
    "Encoder",
    "FetchedInstance",
    "Library",
    "ListedSeries",
    "Receipt",
    "StoredInstance",
    "StoredSeries",
    "TextEmbedding",
    "VectorIndex",
    "WantedCopy",
    "Window",
    "window_or_none",
]
