"""What a caller's cases look like in a listing: patients, studies, series and instances as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.answers.words import in_words, likeness_of_percent, percentage
from indexer.collecting import Case, Cases
from indexer.ledger import KeptCase
from indexer.ports import ArchivedSeries, StoredInstance

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]
Values = tuple[str, ...]

LEVELS: Final[tuple[Level, ...]] = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE: Final[Mapping[Level, str]] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
OF_LEVEL: Final[Mapping[Level, Values]] = {
    "PATIENT": (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries"),
        *("NumberOfPatientRelatedInstances", "PatientComments"),
    ),
    "STUDY": (
        *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription"),
        *("ReferringPhysicianName", "ModalitiesInStudy"),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "StudyComments"),
    ),
    "SERIES": (
        *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined"),
        "NumberOfSeriesRelatedInstances",
    ),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames", "ImageComments"),
}
"""Every attribute that is supported, at the level that it belongs to."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a listing: what it shows by keyword, and what it stands for."""

    values: Mapping[str, Values]
    case: Case
    series: ArchivedSeries | None = None
    instance: StoredInstance | None = None


def rows(cases: Cases, found: Iterable[Case], level: Level, wanted: Mapping[str, Values]) -> Iterator[Row]:
    """The lines of these cases at one level, in their order.

    Args:
        cases: where instances are looked up.
        found: the cases.
        level: what a line is.
        wanted: UIDs of series, if any are asked for: only their instances are looked up.
    """
    if level == "PATIENT":
        yield from _patients(tuple(found))
        return
    for case in found:
        study = Row(_study(case), case)
        if level == "STUDY":
            yield study
            continue
        for one in case.series:
            series = Row({**study.values, **_series(cases, case, one)}, case, one)
            if level == "SERIES":
                yield series
            elif not (uids := wanted.get("SeriesInstanceUID")) or case.uid(one.series_instance_uid) in uids:
                yield from _images(cases, series, one)


def known_of(kept: KeptCase) -> Mapping[str, Values]:
    """What a study's line will say, as far as it is known before the archive is asked."""
    day = {} if kept.study_date is None else {"StudyDate": (kept.study_date.strftime("%Y%m%d"),)}
    return {"StudyDescription": (rank_in_words(kept),), **day}


def rank_in_words(kept: KeptCase) -> str:
    """Rank, likeness and score, for (0008,1030) Study Description: "01  very alike, 99.4 %  0.873".

    Without a percentage, and where it is of pairs of all kinds, the score alone: "01  0.873". That it may be
    the same person stands in place of the likeness. "not for diagnosis" ends each: at most 64 characters.

    Two digits of rank keep the order where a workstation sorts by this text.
    """
    return f"{kept.rank:02d}  {_likeness(kept)}{kept.score:.3f}  not for diagnosis"


def _likeness(kept: KeptCase) -> str:
    if kept.possible_same_person:
        return "possibly the same person  "
    likeness = "" if kept.percent is None else in_words(likeness_of_percent(kept.percent, kept.percent_of))
    return f"{likeness}, {percentage(kept.percent)} %  " if likeness and kept.percent is not None else ""


def _comments(kept: KeptCase) -> str:
    """What the description has no room for."""
    same = "Another patient by its id, and possibly the same person. " if kept.possible_same_person else ""
    return same + NOT_FOR_DIAGNOSIS


def _patients(found: tuple[Case, ...]) -> Iterator[Row]:
    by_patient: dict[str, list[Case]] = {}
    for case in found:
        by_patient.setdefault(case.patient, []).append(case)
    for cases in by_patient.values():
        series = [one for case in cases for one in case.series]
        counts = (len(cases), len(series), sum(one.instances for one in series))
        names = ("Studies", "Series", "Instances")
        related = {f"NumberOfPatientRelated{n}": (str(c),) for n, c in zip(names, counts, strict=True)}
        yield Row(
            {**_shown(cases[0], "PATIENT"), **related, "PatientComments": (NOT_FOR_DIAGNOSIS,)}, cases[0]
        )


def _study(case: Case) -> Mapping[str, Values]:
    day = case.kept.study_date
    date = case.study.attributes.get("StudyDate", "") or (day.strftime("%Y%m%d") if day else "")
    return {
        **_shown(case, "PATIENT"),
        **_shown(case, "STUDY"),
        "PatientComments": (NOT_FOR_DIAGNOSIS,),
        "StudyComments": (_comments(case.kept),),
        "StudyInstanceUID": (case.uid(case.study.study_instance_uid),),
        "StudyDate": (date,),
        "StudyDescription": (rank_in_words(case.kept),),
        "ModalitiesInStudy": tuple(sorted({one.modality for one in case.series if one.modality})),
        "NumberOfStudyRelatedSeries": (str(len(case.series)),),
        "NumberOfStudyRelatedInstances": (str(sum(one.instances for one in case.series)),),
    }


def _shown(case: Case, level: Level) -> Mapping[str, Values]:
    return {keyword: (value,) for keyword, value in case.shown.items() if keyword in OF_LEVEL[level]}


def _series(cases: Cases, case: Case, series: ArchivedSeries) -> Mapping[str, Values]:
    return {
        "SeriesInstanceUID": (case.uid(series.series_instance_uid),),
        "Modality": (series.modality,),
        "SeriesNumber": (series.number,),
        "SeriesDescription": (_description(cases, case, series),),
        "BodyPartExamined": (series.body_part_examined,),
        "NumberOfSeriesRelatedInstances": (str(series.instances),),
    }


def _description(cases: Cases, case: Case, series: ArchivedSeries) -> str:
    """The archive's own text may name a person; in its place, what we know of the series that matched."""
    if cases.shows_the_archives and case.disguise is None:
        return series.description
    if series.archive_id != case.kept.archive_id:
        return ""
    return " ".join(word for word in (case.kept.sequence, case.kept.plane, "most alike") if word)


def _images(cases: Cases, series: Row, one: ArchivedSeries) -> Iterator[Row]:
    instances = cases.instances(one)
    classes = cases.sop_classes(instances)
    for instance in instances:
        values: dict[str, Values] = {
            **series.values,
            "SOPInstanceUID": (series.case.uid(instance.sop_instance_uid),),
            "SOPClassUID": (classes.get(instance.archive_id, ""),),
            "InstanceNumber": ("" if instance.instance_number is None else str(instance.instance_number),),
            "NumberOfFrames": (str(instance.number_of_frames),),
            "ImageComments": (NOT_FOR_DIAGNOSIS,),
        }
        yield Row(values, series.case, one, instance)
