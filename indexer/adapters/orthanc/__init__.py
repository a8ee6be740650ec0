"""Orthanc as the archive, its change log, and the judge of who may see what: over its REST API."""

from indexer.adapters.orthanc.archive import OrthancArchive

__all__ = ["OrthancArchive"]
