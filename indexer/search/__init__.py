"""Asking: an example, a region, a text or chosen cases become candidates, candidates become matches."""

from indexer.search.backgrounds import RememberedBackgrounds
from indexer.search.judging import Judge
from indexer.search.question import MAX_LIMIT, ExampleReference, Question, RegionOfInterest
from indexer.search.search import Search

__all__ = [
    "MAX_LIMIT",
    "ExampleReference",
    "Judge",
    "Question",
    "RegionOfInterest",
    "RememberedBackgrounds",
    "Search",
]
