"""The vector index on Qdrant: a server, a cluster, or our own engine, whatever stands behind the URL."""

from indexer.adapters.qdrant.index import QdrantIndex, collection_of

__all__ = ["QdrantIndex", "collection_of"]
