"""What can be asked: an example, a region of it, a text, chosen cases, and what a match must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from indexer.domain import Filters, Region
from indexer.errors import Rejected

MAX_LIMIT: Final = 100
MAX_CHOSEN: Final = 20
MAX_TEXT: Final = 2000
SMALLEST_REGION: Final = 1e-3


@dataclass(frozen=True, slots=True)
class ExampleReference:
    """An example that the archive holds: exactly one of the three UIDs; a frame needs an instance.

    `frame_number` is 1-based; None stands for every frame of the instance.
    """

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    frame_number: int | None = None

    def __post_init__(self) -> None:
        """Refuse a reference that names nothing, or two things."""
        given = [self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid]
        if sum(uid is not None for uid in given) != 1:
            raise Rejected(
                "Name the example by exactly one of study_instance_uid, series_instance_uid and "
                "sop_instance_uid."
            )
        if self.frame_number is not None and (self.sop_instance_uid is None or self.frame_number < 1):
            raise Rejected("frame_number counts from 1 and goes with sop_instance_uid.")


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """A rectangle on one frame of the example; `frame_number` is 1-based."""

    sop_instance_uid: str
    frame_number: int
    region: Region

    def __post_init__(self) -> None:
        """Refuse a rectangle that is empty or leaves the frame."""
        r = self.region
        inside = r.left >= 0 and r.top >= 0 and r.left + r.width <= 1 + 1e-6 and r.top + r.height <= 1 + 1e-6
        if not inside or r.width < SMALLEST_REGION or r.height < SMALLEST_REGION:
            raise Rejected(
                "The region must lie inside the frame and must not be empty: left, top, width and height "
                "are fractions of the frame in [0, 1]."
            )
        if self.frame_number < 1:
            raise Rejected("frame_number counts from 1.")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        example: an example by reference, or DICOM files that are not archived; None: only a text, or
            chosen cases, are asked with.
        limit: how many matches at most.
        filters: what a match must be.
        same_patient: whether the studies of the example's own patient are listed, in a lane of their own.
        region: a part of one frame of the example, which is then asked about alone.
        text: words that a match shall answer to; empty for none.
        text_weight: the part of the text in the score where there is an example too, in [0, 1].
        reports: DICOM reports whose words are asked with as the text is; they are neither kept nor logged.
        more: chosen cases that a match shall be like as well.
        less: chosen cases that a match shall be unlike.
        leaves_out_absent: whether chosen cases that cannot be compared now (gone, not indexed by what is
            searched, not for the caller) are left out; otherwise the question is refused because of them.
        diversity: in [0, 1]; 0 ranks by likeness alone, more prefers matches unlike one another.
    """

    example: ExampleReference | tuple[Path, ...] | None
    limit: int = 10
    filters: Filters = field(default_factory=Filters)
    same_patient: bool = False
    region: RegionOfInterest | None = None
    text: str = ""
    text_weight: float = 0.5
    reports: tuple[Path, ...] = ()
    more: tuple[ExampleReference, ...] = ()
    less: tuple[ExampleReference, ...] = ()
    leaves_out_absent: bool = False
    diversity: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, and a limit that nobody could read."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise Rejected(f"limit is {self.limit}; it must be between 1 and {MAX_LIMIT}.")
        for name, value in (("text_weight", self.text_weight), ("diversity", self.diversity)):
            if not 0 <= value <= 1:
                raise Rejected(f"{name} is {value}; it must be between 0 and 1.")
        if self.example is None and not self.has_words and not self.more:
            raise Rejected("Ask with an example, with a text, or with chosen cases.")
        if self.region is not None and self.example is None:
            raise Rejected("A region is a part of an example: name the example too.")
        if len(self.text) > MAX_TEXT:
            raise Rejected(f"The text has {len(self.text)} characters; at most {MAX_TEXT} are read.")
        if len(self.more) + len(self.less) > MAX_CHOSEN:
            raise Rejected(f"At most {MAX_CHOSEN} cases can be chosen for one question.")

    @property
    def has_words(self) -> bool:
        """Whether words are asked with: a text, or those of reports."""
        return bool(self.text.strip() or self.reports)
