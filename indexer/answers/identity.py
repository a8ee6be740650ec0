"""Who signs our answers, so that they are known again and never indexed or asked about."""

from __future__ import annotations

import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import Final

MANUFACTURER: Final = "pacs-cbir"
MODEL_NAME: Final = "Similar prior cases"
SERIES_DESCRIPTION: Final = "Similar prior cases"
SERIES_NUMBER: Final = 9901
NOT_FOR_DIAGNOSIS: Final = "Not for diagnosis: ranked by computed likeness to what was asked, without review."
"""The notice that is true of every answer."""
_BY_LIKENESS_ALONE: Final = "Not for diagnosis: ranked by visual likeness alone, computed without review."

_NAMESPACE: Final = uuid.UUID("0c2d9f0a-7f0e-5c53-8f86-5f2a0a3f7d11")


def notice_of(is_by_likeness_alone: bool) -> str:
    """The notice of an answer, which says so where nothing but visual likeness decided on its ranks."""
    return _BY_LIKENESS_ALONE if is_by_likeness_alone else NOT_FOR_DIAGNOSIS


def software_version() -> str:
    """The installed version, as (0018,1020) names it."""
    try:
        return version("pacs-cbir")
    except PackageNotFoundError:
        return "0"


def derived_uid(*parts: str) -> str:
    """A UID that is always the same for the same parts: a repeated answer is the same instance.

    Source:
        DICOM PS3.5 B.2 (UUID-derived UID).
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(10).join(parts)).int}"


def is_own_answer(manufacturer: str) -> bool:
    """Whether (0008,0070) Manufacturer says that an instance is an answer of ours."""
    return manufacturer.strip() == MANUFACTURER
