"""Questions as JSON and as a query string; an unknown field is refused, never ignored."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from indexer.api.uploaded import Uploaded, told_apart
from indexer.domain import Region
from indexer.errors import Rejected
from indexer.search import ExampleReference, Question, RegionOfInterest
from indexer.search.question import MAX_CHOSEN, MAX_TEXT
from indexer.vocabulary import FiltersBody, Fraction, Limit, Strict, Text, Uid

MAX_TEXT_HEADER: Final = (4 * MAX_TEXT + 2) // 3 * 4
"""Of base64: 4 bytes of UTF-8 a character at most, which stays below what servers take as headers."""


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


class QuestionBody(Strict):
    """POST /api/search. The example may be left out where a text, or chosen cases, are asked with."""

    example: ExampleBody | None = None
    limit: Limit = 10
    filters: FiltersBody = FiltersBody()
    same_patient: bool = False
    region: RegionBody | None = None
    text: Text = ""
    text_weight: Fraction = 0.5
    more: list[ExampleBody] = Field([], max_length=MAX_CHOSEN)
    less: list[ExampleBody] = Field([], max_length=MAX_CHOSEN)
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
    the files are asked with, beside the images or alone, and what was typed about the images as the
    description of a key object selection is the text where none is given; without, both are ignored. A
    `text` may name a patient, and servers log queries: better send it as X-CBIR-Text.
    """

    limit: Limit = 10
    same_patient: bool = False
    region: Annotated[str, Field(max_length=200)] = ""
    text: Text = ""
    text_weight: Fraction = 0.5
    reads_reports: bool = False
    more: list[Uid] = Field([], max_length=MAX_CHOSEN)
    less: list[Uid] = Field([], max_length=MAX_CHOSEN)
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

    def with_words_of(self, uploaded: Uploaded) -> UploadOptions:
        """These, with what was typed about the images where no text is asked with."""
        return self if self.text else self.model_copy(update={"text": uploaded.typed})

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
