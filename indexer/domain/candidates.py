"""Where matches may come from, and what comes into question."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from indexer.domain.series import Kind, SeriesAttributes, SeriesReference


@dataclass(frozen=True, slots=True)
class Filters:
    """What a match must be; empty means anything. Dates are inclusive."""

    modality: tuple[str, ...] = ()
    body_part_examined: tuple[str, ...] = ()
    study_date_from: date | None = None
    study_date_to: date | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where candidates may come from, for one question.

    `not_study` and `not_patient` leave out the example's own study and patient; `only_studies`, when
    given, narrows the search to those studies, `only_patient` to the series of one patient. With
    `not_patient`, a patient that was hashed with another key is left out as well: nobody can tell whether
    it is the same one. `sequence` and `plane`, when given, leave out series that are known to be of
    another one; a series of an unknown one stays in. `kind` tells images from reports. `not_studies` and
    `not_patients` leave out the studies, and the patients, of chosen cases.
    """

    filters: Filters = field(default_factory=Filters)
    not_study: str | None = None
    not_patient: str | None = None
    only_studies: tuple[str, ...] | None = None
    only_patient: str | None = None
    sequence: str = ""
    plane: str = ""
    kind: Kind = "image"
    not_studies: tuple[str, ...] = ()
    not_patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A near series. `score` is MaxSim over the example's frames divided by their count, in [-1, 1]."""

    reference: SeriesReference
    attributes: SeriesAttributes
    score: float
