"""Where the prior case behind a match can be opened or fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from indexer.domain import Match

SCHEMES: Final = ("http://", "https://", "weasis://")
PLACEHOLDERS: Final = (
    "orthanc",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "archive_id",
)
FORM: Final = "a preset (explorer, explorer2, stone, ohif, weasis) or Name=template"

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[\w .()/+-]{1,40}")
# RFC 3986 2: what may stand in a URL; the braces are ours.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+;=%{}]+")


@dataclass(frozen=True, slots=True)
class Viewer:
    """A program that opens a match, and the template of its addresses."""

    name: str
    template: str

    @classmethod
    def parse(cls, text: str) -> Viewer:
        """Read a preset's name, or `Name=template`.

        A template begins with {orthanc}, http://, https:// or weasis://, and may hold the placeholders
        {orthanc}, {study_instance_uid}, {series_instance_uid}, {sop_instance_uid} and {archive_id} (the
        archive's own name of the series). What is not allowed in a URL is percent-encoded beforehand.

        Raises:
            ValueError: it is neither; the message says which form is wanted.
        """
        given = text.strip()
        if given in PRESETS:
            return PRESETS[given]
        name, equals, template = (part.strip() for part in given.partition("="))
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"{given[:80]!r} names no viewer: write {FORM}.")
        if not template.startswith(("{orthanc}", *SCHEMES)):
            raise ValueError(f"The template of {name!r} must begin with {{orthanc}} or {', '.join(SCHEMES)}.")
        unknown = [word for word in _PLACEHOLDER.findall(template) if word not in PLACEHOLDERS]
        if unknown or not _ADDRESS.fullmatch(template) or "{" in _PLACEHOLDER.sub("", template):
            raise ValueError(
                f"The template of {name!r} must be a URL with no other placeholders than "
                f"{', '.join(PLACEHOLDERS)}; percent-encode what a URL may not hold."
            )
        return cls(name, template)

    def address(self, values: Mapping[str, str]) -> str:
        """The address with its placeholders filled, each value percent-encoded.

        {orthanc} at the very beginning is the address itself, and is not.
        """
        root = values["orthanc"] if self.template.startswith("{orthanc}") else ""
        rest = self.template.removeprefix("{orthanc}")
        return root + _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), rest)


PRESETS: Final[Mapping[str, Viewer]] = {
    "explorer": Viewer("Orthanc Explorer", "{orthanc}/app/explorer.html#series?uuid={archive_id}"),
    "explorer2": Viewer(
        "Orthanc Explorer 2", "{orthanc}/ui/app/#/filtered-studies?StudyInstanceUID={study_instance_uid}"
    ),
    "stone": Viewer("Stone viewer", "{orthanc}/stone-webviewer/index.html?study={study_instance_uid}"),
    "ohif": Viewer("OHIF", "{orthanc}/ohif/viewer?StudyInstanceUIDs={study_instance_uid}"),
    "weasis": Viewer(
        "Weasis",
        "weasis://%24dicom%3Ars%20--url%20%22{orthanc}%2Fdicom-web%22"
        "%20-r%20%22studyUID%3D{study_instance_uid}%22",
    ),
}


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses into one archive; an empty `public_url` or `retrieve_ae_title` means that it has none.

    `public_url` is Orthanc as a browser reaches it, without a slash at the end; `programs` are those
    that open a match, the usual one first. No link names a study by Orthanc's own name of it, which is
    made of its PatientID and is not kept here.
    """

    public_url: str = ""
    retrieve_ae_title: str = ""
    programs: tuple[Viewer, ...] = (PRESETS["explorer"],)

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
        values = {
            "orthanc": self.public_url.rstrip("/"),
            "study_instance_uid": match.reference.study_instance_uid,
            "series_instance_uid": match.reference.series_instance_uid,
            "sop_instance_uid": match.frame.sop_instance_uid,
            "archive_id": match.reference.archive_id,
        }
        return {viewer.name: viewer.address(values) for viewer in self.programs}


def _is_in_orthanc(match: Match) -> bool:
    """A series of a folder is named by its UIDs, with a slash between them; Orthanc's names have none."""
    return "/" not in match.reference.archive_id
