"""Which instances an answer rests on, in the order the standard groups them: study, series, instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from indexer.answers.example import Example
from indexer.domain import Answer


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """One instance as an evidence sequence names it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    retrieve_ae_title: str = ""


def references_of_example(example: Example) -> tuple[InstanceReference, ...]:
    """Everything that was sent, in its order."""
    return tuple(
        InstanceReference(
            study_instance_uid=instance.study_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        for instance in example.instances
    )


def references_of_matches(answer: Answer, retrieve_ae_title: str) -> tuple[InstanceReference, ...]:
    """The similar images in rank order, then those of the example's own patient."""
    return tuple(
        InstanceReference(
            study_instance_uid=match.reference.study_instance_uid,
            series_instance_uid=match.reference.series_instance_uid,
            sop_class_uid=match.frame.sop_class_uid,
            sop_instance_uid=match.frame.sop_instance_uid,
            retrieve_ae_title=retrieve_ae_title,
        )
        for match in (*answer.matches, *answer.same_patient)
    )


def evidence_sequence(references: Iterable[InstanceReference]) -> list[Dataset]:
    """The items of an evidence sequence; an instance named twice is written once.

    Source:
        DICOM PS3.3 C.17.2.1 (Hierarchical SOP Instance Reference Macro).
    """
    studies: dict[str, dict[str, dict[str, InstanceReference]]] = {}
    for reference in references:
        series = studies.setdefault(reference.study_instance_uid, {})
        series.setdefault(reference.series_instance_uid, {})[reference.sop_instance_uid] = reference
    return [_study(uid, series) for uid, series in studies.items()]


def _study(study_instance_uid: str, series: dict[str, dict[str, InstanceReference]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_instance_uid
    item.ReferencedSeriesSequence = [_series(uid, list(members.values())) for uid, members in series.items()]
    return item


def _series(series_instance_uid: str, members: list[InstanceReference]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_instance_uid
    if members[0].retrieve_ae_title:
        item.RetrieveAETitle = members[0].retrieve_ae_title
    item.ReferencedSOPSequence = [_instance(member) for member in members]
    return item


def _instance(reference: InstanceReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
