"""What goes into the ledger and what comes out: notices, leases, outcomes, rows and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from typing import Final, Generic, TypeVar

from indexer.domain import SeriesAttributes, SeriesReference

ORTHANC: Final = "orthanc"


class State(StrEnum):
    """Where a series stands."""

    WAITING = "waiting"
    LEASED = "leased"
    INDEXED = "indexed"
    SKIPPED = "skipped"
    FAILED = "failed"


class Priority(IntEnum):
    """Who is served first; the smallest number is the most urgent."""

    ASKED = 0
    """A person asked for it."""
    CHANGED = 1
    """The archive changed: a series came, grew, became stable or was deleted."""
    BACKFILL = 2
    """It was there all along, or another encoder takes over."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody noticed something: look at this series again.

    Attributes:
        archive_id: the archive's own name for the series.
        archive: the name of the archive.
        priority: how urgent.
        due_in_s: seconds from now before which nobody needs to look.
        reference: the UIDs, where they are known.
        modality: (0008,0060), where it is known.
        revision: the archive's revision that was seen, where one was.
    """

    archive_id: str
    archive: str
    priority: Priority
    due_in_s: float = 0.0
    reference: SeriesReference | None = None
    modality: str = ""
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one series until it expires.

    Attributes:
        archive_id: the series.
        generation: counts the notices; a larger one in the ledger means that it was noticed meanwhile.
        attempts: this one included, since the last notice.
        abandoned: leases of this series that ran out one after the other: their workers died, or hung.
        fingerprint: of the files that were indexed last; None when nothing is.
        encoder: those that looked at them, the text of `Holdings`; None when nobody did.
        token: random, so that an old lease never passes for a newer one, not even where the row is new.
    """

    archive_id: str
    generation: int
    attempts: int
    fingerprint: str | None
    encoder: str | None
    token: int = 0
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Indexed:
    """The vectors are stored; `encoder` is the text of `Holdings`: who holds them."""

    reference: SeriesReference
    attributes: SeriesAttributes
    revision: str
    fingerprint: str
    encoder: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """There is nothing to index, and will not be until the series changes.

    `encoder` is named where another encoder might judge otherwise; the series is then looked at again
    when that one takes over.
    """

    reference: SeriesReference | None
    attributes: SeriesAttributes | None
    revision: str
    fingerprint: str
    reason: str
    detail: str
    encoder: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The series is no longer in the archive, and its vectors are deleted: its row goes too."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Trying again cannot help; it stays so until the series changes or a person retries it.

    `reference`, `modality` and `revision` are named where the archive told them; `forgotten` says that
    no vectors of it are left.
    """

    reason: str
    detail: str
    reference: SeriesReference | None = None
    modality: str = ""
    revision: str | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Something else was at fault: again later, failed after `max_attempts`; None never gives up."""

    reason: str
    detail: str
    max_attempts: int | None = None


Outcome = Indexed | Skipped | Gone | Failed | TryAgain


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series as the ledger shows it. UIDs are empty until they are known; no patient, no free text."""

    archive: str
    archive_id: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    body_part_examined: str
    study_date: date | None
    state: State
    reason: str
    detail: str
    attempts: int
    encoder: str | None

    @property
    def orthanc_id(self) -> str | None:
        """Orthanc's identifier; None in another archive."""
        return self.archive_id if self.archive == ORTHANC else None


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study with its indexed series; `series` counts them, modalities and body parts are sorted."""

    study_instance_uid: str
    study_date: date | None
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    series: int
    archive_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """What a comparison with the archive needs of a row; `revision` is the one last looked at.

    `fingerprint` is of the files that were looked at last; None when nobody did.
    """

    archive_id: str
    revision: str | None
    state: State
    encoder: str | None
    archive: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Holders:
    """How many series of an archive are in the same state, of one modality, and held by the same encoders."""

    modality: str
    encoder: str | None
    state: State
    number: int
    archive: str = ORTHANC


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A piece of a listing; `next_cursor` asks for the next piece and is None at the end."""

    rows: tuple[Row, ...]
    next_cursor: str | None
