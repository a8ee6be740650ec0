"""Where candidates may come from, as a filter of Qdrant."""

from __future__ import annotations

from collections.abc import Sequence

from qdrant_client import models

from indexer.adapters.qdrant.points import NOBODY, day_number
from indexer.domain import Filters, Scope
from indexer.patients import key_name_of


def filter_of(scope: Scope) -> models.Filter:
    """The filter of a question."""
    wanted = _attributes(scope.filters)
    if scope.only_studies is not None:
        wanted.append(_is_any("study_instance_uid", scope.only_studies))
    if scope.kind == "report":
        wanted.append(is_value("kind", "report"))
    if scope.only_patient is not None:
        wanted.append(is_value("patient", scope.only_patient))
    if scope.not_patient is not None:
        wanted.append(hashed_with(key_name_of(scope.not_patient)))
    # A point that does not say what it stands for is from the time when all were images.
    unwanted = [is_value("kind", "report")] if scope.kind == "image" else []
    if scope.not_study is not None or scope.not_studies:
        unwanted.append(_is_any("study_instance_uid", _several(scope.not_study, scope.not_studies)))
    if scope.not_patient is not None or scope.not_patients:
        unwanted.append(_is_any("patient", _several(scope.not_patient, scope.not_patients)))
    unwanted += [
        _is_known_to_be_other_than(key, word)
        for key, word in (("sequence", scope.sequence), ("plane", scope.plane))
        if word
    ]
    return models.Filter(must=[*wanted] or None, must_not=[*unwanted] or None)


def is_value(key: str, value: str) -> models.FieldCondition:
    """The field is, or holds, this value."""
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def hashed_with(key_name: str) -> models.FieldCondition:
    """The patient is nobody, or was hashed with this key."""
    return _is_any("patient_key", (key_name, NOBODY))


def _is_known_to_be_other_than(key: str, word: str) -> models.FieldCondition:
    """The field is there, is not empty and is another word."""
    return models.FieldCondition(key=key, match=models.MatchExcept(**{"except": [word, ""]}))


def _several(one: str | None, more: Sequence[str]) -> list[str]:
    return [*([] if one is None else [one]), *more]


def _is_any(key: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _attributes(filters: Filters) -> list[models.FieldCondition]:
    conditions = []
    if filters.modality:
        conditions.append(_is_any("modality", filters.modality))
    if filters.body_part_examined:
        conditions.append(_is_any("body_part_examined", filters.body_part_examined))
    if filters.study_date_from is not None or filters.study_date_to is not None:
        first, last = filters.study_date_from, filters.study_date_to
        days = models.Range(
            gte=None if first is None else day_number(first), lte=None if last is None else day_number(last)
        )
        conditions.append(models.FieldCondition(key="study_date", range=days))
    return conditions
