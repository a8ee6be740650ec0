"""References, embeddings, examples, candidates and matches: frozen values, no vendor."""

from indexer.domain.answers import Answer, Match, Pairs, Refusal, SequenceMatch
from indexer.domain.candidates import Candidate, Filters, Scope
from indexer.domain.maps import FeatureMap, MatchMap, Region
from indexer.domain.series import (
    EncoderVersion,
    Extent,
    FrameReference,
    IndexedSeries,
    Kind,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    point_id_of,
    pooled,
)

__all__ = [
    "Answer",
    "Candidate",
    "EncoderVersion",
    "Extent",
    "FeatureMap",
    "Filters",
    "FrameReference",
    "IndexedSeries",
    "Kind",
    "Match",
    "MatchMap",
    "Pairs",
    "Refusal",
    "Region",
    "Scope",
    "SequenceMatch",
    "SeriesAttributes",
    "SeriesEmbedding",
    "SeriesReference",
    "Vector",
    "point_id_of",
    "pooled",
]
