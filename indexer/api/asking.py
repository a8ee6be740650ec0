"""Questions as JSON and as a query string; an unknown field is refused, never ignored."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from indexer.api.uploaded import Uploaded, told_apart
from indexer.domain import Filters, Region
from indexer.errors import Rejected
from indexer.search import MAX_LIMIT, ExampleReference, Question, RegionOfInterest
from indexer.search.question import MAX_CHOSEN, MAX_TEXT

MAX_TEXT_HEADER: Final = (4 * MAX_TEXT + 2) // 3 * 4
"""Of base64: 4 bytes of UTF-8 a character at most, which stays below what servers take as headers."""

_DATE: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


def _day(value: object) -> object:
    """2024-01-31 or, as DICOM writes it, 20240131; a bare number would be read as seconds."""
    if value is None or isinstance(value, date):
        return value
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("date", "write a date as 2024-01-31 or 20240131")
    return "-".join(found.groups())


Uid = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, min_length=1, max_length=64)]
Codes = Annotated[list[Code], Field(max_length=50)]
Day = Annotated[date, BeforeValidator(_day)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TEXT)]


class Strict(BaseModel):
    """Refuses a field that it does not know, and says which it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict) and not value.keys() <= cls.model_fields.keys():
            unknown = ", ".join(sorted(str(name)[:40] for name in value.keys() - cls.model_fields.keys()))
            raise PydanticCustomError(
                "unknown_field",
                "unknown field {unknown}; allowed are {allowed}",
                {"unknown": unknown, "allowed": ", ".join(cls.model_fields)},
            )
        return value


class ExampleBody(Strict):
    """An example in the archive: exactly one of the UIDs; a frame (from 1) goes with an instance."""

    study_instance_uid: Uid | None = None
    series_instance_uid: Uid | None = None
    sop_instance_uid: Uid | None = None
    frame_number: Annotated[int, Field(ge=1)] | None = None

    def to_domain(self) -> ExampleReference:
        """The example of the search. Raises Rejected when it names nothing, or two things."""
        return ExampleReference(**self.model_dump())


class RegionBody(Strict):
    """A rectangle on one frame (from 1) of the example, in fractions of it from its top left corner."""

    sop_instance_uid: Uid
    frame_number: Annotated[int, Field(ge=1)] = 1
    left: Fraction
    top: Fraction
    width: Fraction
    height: Fraction

    def to_domain(self) -> RegionOfInterest:
        """The region of the search. Raises Rejected when it is empty or leaves the frame."""
        region = Region(self.left, self.top, self.width, self.height)
        return RegionOfInterest(self.sop_instance_uid, self.frame_number, region)


class FiltersBody(Strict):
    """What a match must be; an empty list means anything, dates are inclusive."""

    modality: Codes = []
    body_part_examined: Codes = []
    study_date_from: Day | None = None
    study_date_to: Day | None = None

    @model_validator(mode="after")
    def _refuse_dates_backwards(self) -> FiltersBody:
        if self.study_date_from and self.study_date_to and self.study_date_from > self.study_date_to:
            raise PydanticCustomError("dates", "study_date_from is after study_date_to")
        return self

    def to_domain(self) -> Filters:
        """The filters of the search."""
        return Filters(
            modality=tuple(self.modality),
            body_part_examined=tuple(self.body_part_examined),
            study_date_from=self.study_date_from,
            study_date_to=self.study_date_to,
        )


class QuestionBody(Strict):
    """POST /api/search. The example may be left out where a text, or chosen cases, are asked with."""

    example: ExampleBody | None = None
    limit: Limit = 10
    filters: FiltersBody = FiltersBody()
    same_patient: bool = False
    region: RegionBody | None = None
    text: Text = ""
    text_weight: Fraction = 0.5
    more: Annotated[list[ExampleBody], Field(max_length=MAX_CHOSEN)] = []
    less: Annotated[list[ExampleBody], Field(max_length=MAX_CHOSEN)] = []
    diversity: Fraction = 0.0

    def to_domain(self) -> Question:
        """The question of the search. Raises Rejected for an example that names nothing, or two things."""
        return Question(
            example=None if self.example is None else self.example.to_domain(),
            limit=self.limit,
            filters=self.filters.to_domain(),
            same_patient=self.same_patient,
            region=None if self.region is None else self.region.to_domain(),
            text=self.text,
            text_weight=self.text_weight,
            more=tuple(one.to_domain() for one in self.more),
            less=tuple(one.to_domain() for one in self.less),
            diversity=self.diversity,
        )


class UploadOptions(FiltersBody):
    """The query of POST /api/search/upload.

    `more` and `less` are Series Instance UIDs; `region` is six values with commas between: the SOP Instance
    UID, the frame number, left, top, width and height. `picture` wants the example's frame in the answer
    as well, `maps` where it and each match look alike. With `reads_reports` the words of the reports among
    the files are asked with, beside the images or alone; without, reports are ignored. A `text` may name a
    patient, and servers log queries: better send it as X-CBIR-Text.
    """

    limit: Limit = 10
    same_patient: bool = False
    region: Annotated[str, Field(max_length=200)] = ""
    text: Text = ""
    text_weight: Fraction = 0.5
    reads_reports: bool = False
    more: Annotated[list[Uid], Field(max_length=MAX_CHOSEN)] = []
    less: Annotated[list[Uid], Field(max_length=MAX_CHOSEN)] = []
    diversity: Fraction = 0.0
    picture: bool = False
    maps: bool = False

    @field_validator("region")
    @classmethod
    def _refuse_another_form(cls, value: str) -> str:
        if value:
            _region(value)
        return value

    @property
    def filters(self) -> FiltersBody:
        """The filters alone."""
        return FiltersBody.model_construct(**{name: getattr(self, name) for name in FiltersBody.model_fields})

    def with_text(self, header: str) -> UploadOptions:
        """These, with the text of the header X-CBIR-Text: base64 of UTF-8; empty for none.

        Raises:
            Rejected: it is no such thing, or the query has a text too.
        """
        if not header:
            return self
        if self.text:
            raise Rejected("Send the text in X-CBIR-Text or in the query, not in both.", reason="malformed")
        try:
            text = b64decode(header, validate=True).decode().strip()
        except ValueError as error:
            raise Rejected("X-CBIR-Text must be base64 of UTF-8.", reason="malformed") from error
        return self.model_copy(update={"text": text})

    def among(self, paths: tuple[Path, ...]) -> Uploaded:
        """What of these files is asked with, and how."""
        return told_apart(paths) if self.reads_reports else Uploaded(paths)

    def about(self, uploaded: Uploaded) -> Question:
        """The question of the search, about what was uploaded."""
        return Question(
            example=uploaded.example,
            reports=uploaded.reports,
            limit=self.limit,
            filters=self.to_domain(),
            same_patient=self.same_patient,
            region=_region(self.region).to_domain() if self.region else None,
            text=self.text,
            text_weight=self.text_weight,
            more=tuple(ExampleReference(series_instance_uid=uid) for uid in self.more),
            less=tuple(ExampleReference(series_instance_uid=uid) for uid in self.less),
            diversity=self.diversity,
        )


def _region(text: str) -> RegionBody:
    """Read `UID,frame,left,top,width,height`."""
    names = ("sop_instance_uid", "frame_number", "left", "top", "width", "height")
    values = text.split(",")
    if len(values) != len(names):
        raise PydanticCustomError("region", "write a region as UID,frame,left,top,width,height")
    try:
        return RegionBody.model_validate(dict(zip(names, values, strict=True)))
    except ValidationError as error:
        raise PydanticCustomError("region", "write a region as UID,frame,left,top,width,height") from error
