"""The similar prior cases that a structured report names, as a workstation would read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from rich.console import Console

# Measurement Group in DCM; the others are of the scheme 99CBIR.
MEASUREMENT_GROUP = "125007"
SIMILARITY = "similarity"
SIMILAR_IMAGE = "similar-image"


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """One case of a report; `frame_number` is 1-based, 1 where the report names none."""

    score: float
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frame_number: int


def reported_cases(report: Dataset) -> list[ReportedCase]:
    """The cases of a TID 1500 report in its order; empty for one that found nothing.

    A reference without evidence (PS3.3 C.17.2.3) has an empty study and series.
    """
    where = dict(_evidence(report))
    return [
        _case(group, where)
        for group in _containers(report, MEASUREMENT_GROUP)
        if _items(group, SIMILAR_IMAGE)
    ]


def print_cases(console: Console, cases: Sequence[ReportedCase], family_of: Mapping[str, str]) -> None:
    """The cases as a table, each with its DICOM references on lines of their own, to be copied."""
    console.print("Rank  Score  Similar prior case", style="bold")
    for rank, case in enumerate(cases, start=1):
        family = family_of.get(case.study_instance_uid, "not one of the synthetic families")
        console.print(f"{rank:4d}  {case.score:5.3f}  {family}", highlight=False)
        for level, uid in (
            ("study", case.study_instance_uid),
            ("series", case.series_instance_uid),
            ("image", case.sop_instance_uid),
        ):
            console.print(f"      {level:8}{uid}", style="dim", highlight=False, soft_wrap=True)
    console.print("Not for diagnosis.")


def _case(group: Dataset, where: Mapping[str, tuple[str, str]]) -> ReportedCase:
    image = _items(group, SIMILAR_IMAGE)[0].ReferencedSOPSequence[0]
    score = _items(group, SIMILARITY)[0].MeasuredValueSequence[0].NumericValue
    study, series = where.get(str(image.ReferencedSOPInstanceUID), ("", ""))
    frames = image.get("ReferencedFrameNumber") or 1
    return ReportedCase(
        score=float(score),
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=str(image.ReferencedSOPInstanceUID),
        frame_number=int(frames if isinstance(frames, int | str) else frames[0]),
    )


def _evidence(report: Dataset) -> Iterator[tuple[str, tuple[str, str]]]:
    """The study and series of every instance that the report refers to."""
    for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in report.get(name, []):
            for series in study.ReferencedSeriesSequence:
                for instance in series.ReferencedSOPSequence:
                    place = (str(study.StudyInstanceUID), str(series.SeriesInstanceUID))
                    yield str(instance.ReferencedSOPInstanceUID), place


def _containers(item: Dataset, code: str) -> Iterator[Dataset]:
    """Every container of this concept, depth first."""
    for child in item.get("ContentSequence", []):
        if child.ValueType == "CONTAINER" and _is_named(child, code):
            yield child
        else:
            yield from _containers(child, code)


def _items(group: Dataset, code: str) -> list[Dataset]:
    """The children of a container whose concept has this code."""
    return [child for child in group.get("ContentSequence", []) if _is_named(child, code)]


def _is_named(item: Dataset, code: str) -> bool:
    return any(name.get("CodeValue") == code for name in item.get("ConceptNameCodeSequence", []))
