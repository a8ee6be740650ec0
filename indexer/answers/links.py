"""Where the prior case behind a match can be opened or fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.domain import Match


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses into one archive; an empty `public_url` or `retrieve_ae_title` means that it has none.

    `public_url` is Orthanc as a browser reaches it, without a slash at the end. There is no link to a
    study page: Orthanc's name of a study is made of its PatientID, which is not kept here.
    """

    public_url: str = ""
    retrieve_ae_title: str = ""

    def retrieve_url(self, match: Match) -> str | None:
        """The matching instance in WADO-RS (PS3.18 10.4.1)."""
        if not self.public_url or not _is_in_orthanc(match):
            return None
        reference = match.reference
        return (
            f"{self.public_url.rstrip('/')}/dicom-web/studies/{reference.study_instance_uid}"
            f"/series/{reference.series_instance_uid}/instances/{match.frame.sop_instance_uid}"
        )

    def ae_title(self, match: Match) -> str | None:
        """The application entity that the matching study can be retrieved from."""
        return (self.retrieve_ae_title or None) if _is_in_orthanc(match) else None

    def viewers(self, match: Match) -> Mapping[str, str]:
        """Where a person opens the match: a URL for each viewer, by its name, the usual one first."""
        if not self.public_url or not _is_in_orthanc(match):
            return {}
        root = self.public_url.rstrip("/")
        return {"Orthanc Explorer": f"{root}/app/explorer.html#series?uuid={match.reference.archive_id}"}


def _is_in_orthanc(match: Match) -> bool:
    """A series of a folder is named by its UIDs, with a slash between them; Orthanc's names have none."""
    return "/" not in match.reference.archive_id
