"""A folder of DICOM files as the archive, for where there is no PACS."""

from indexer.adapters.folder.archive import FolderArchive
from indexer.adapters.folder.scan import RejectedFile

__all__ = ["FolderArchive", "RejectedFile"]
