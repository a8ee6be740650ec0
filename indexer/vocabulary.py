"""What may stand in a question: names, bounds and filters, by HTTP and in a setting alike."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from indexer.domain import Filters
from indexer.search.question import MAX_LIMIT, MAX_TEXT

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
