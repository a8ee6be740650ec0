"""An answer as a DICOM Comprehensive SR, filed in the example's own study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

from indexer.answers import concepts
from indexer.answers.asked_words import asked_in_words, is_by_likeness_alone
from indexer.answers.evidence import (
    evidence_sequence,
    references_of_example,
    references_of_matches,
)
from indexer.answers.example import Example, ExampleInstance
from indexer.answers.identity import (
    MANUFACTURER,
    MODEL_NAME,
    SERIES_DESCRIPTION,
    SERIES_NUMBER,
    derived_uid,
    notice_of,
    software_version,
)
from indexer.answers.refusals import refusal_in_words
from indexer.answers.sr_content import root
from indexer.answers.sr_groups import Grouping
from indexer.answers.unused_marks import UnusedMark, unused_mark_in_words
from indexer.answers.unused_reports import unused_reports_in_words
from indexer.domain import Answer
from indexer.search.question import Question

References = Literal["dicom", "opaque"]

NO_PRIOR_CASE: Final = "No similar prior case was found."
OPAQUE: Final = (
    "The cases are not named here. Ask about this study on the page of similar cases, with your own "
    "rights, to open them."
)


def similar_cases_report(
    example: Example,
    answer: Answer,
    *,
    question_id: str,
    created: datetime,
    references: References = "dicom",
    retrieve_ae_title: str = "",
    sizes: Mapping[str, tuple[int, int]] | None = None,
    question: Question | None = None,
    unused_mark: UnusedMark | None = None,
) -> Dataset:
    """The matches, or the statement that there are none, or the reason why none are shown.

    Args:
        example: what was asked about; the report is filed under its patient and study.
        answer: its matches in rank order.
        question_id: the same question has the same UIDs, so that sending the report twice is harmless.
        created: local time, for Content Date and Time.
        references: "dicom" names the matches' UIDs; "opaque" leaves no UID of a match anywhere.
        retrieve_ae_title: from whom the matches' instances can be fetched; "" leaves it open.
        sizes: rows and columns of frames by SOP Instance UID; a place is written where they are known.
        question: what was asked; None where nothing could be.
        unused_mark: why a mark is not what was asked about.

    Source:
        DICOM PS3.16 TID 1500; PS3.3 A.35.3 (Comprehensive SR IOD).
    """
    opaque = references == "opaque"
    region = question.region if question is not None else None
    grouping = Grouping(question_id, opaque, sizes or {}, region)
    groups = [grouping.of(match) for match in answer.matches]
    groups += [grouping.of(match, "same-patient") for match in answer.same_patient]
    outcome, comments = _outcome(answer)
    if unused_mark is not None:
        comments = [*comments, unused_mark_in_words(unused_mark)]
    unused_reports = unused_reports_in_words(question, answer)
    if unused_reports:
        comments = [*comments, unused_reports]
    if opaque and groups:
        comments = [*comments, OPAQUE]
    content = root(
        outcome=outcome,
        asked=asked_in_words(question, answer),
        comments=[*comments, notice_of(is_by_likeness_alone(question, answer))],
        library=_asked_about(example, answer),
        groups=groups,
    )
    report = _document(example, content, question_id, created)
    others = () if opaque else references_of_matches(answer, retrieve_ae_title)
    if others:
        report.PertinentOtherEvidenceSequence = evidence_sequence(others)
    return report


def _outcome(answer: Answer) -> tuple[Code, list[str]]:
    """In code, and in sentences for a person."""
    refused = answer.refused
    if refused is not None:
        why = refusal_in_words(refused, "en")
        return concepts.REFUSED, [f"No similar cases are shown ({refused.reason}): {why}"]
    if answer.matches:
        return concepts.FOUND, []
    return concepts.NONE_FOUND, [NO_PRIOR_CASE]


def _document(example: Example, content: Dataset, question_id: str, created: datetime) -> Dataset:
    report = Dataset()
    report.update(example.filing)
    report.StudyInstanceUID = example.instances[0].study_instance_uid
    _identify(report, question_id, created)
    report.CompletionFlag = "COMPLETE"
    report.VerificationFlag = "UNVERIFIED"
    report.PerformedProcedureCodeSequence = []
    report.ReferencedPerformedProcedureStepSequence = []
    report.CurrentRequestedProcedureEvidenceSequence = evidence_sequence(references_of_example(example))
    report.update(content)
    report.file_meta = FileMetaDataset()
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.ImplementationClassUID = UID(derived_uid("implementation"))
    return report


def _identify(report: Dataset, question_id: str, created: datetime) -> None:
    """SOP Common, SR Document Series, General Equipment and the dates of SR Document General."""
    report.SOPClassUID = ComprehensiveSRStorage
    report.SOPInstanceUID = derived_uid(question_id, "instance")
    report.SeriesInstanceUID = derived_uid(question_id, "series")
    report.Modality = "SR"
    report.SeriesNumber = SERIES_NUMBER
    report.SeriesDescription = SERIES_DESCRIPTION
    report.InstanceNumber = 1
    report.Manufacturer = MANUFACTURER
    report.ManufacturerModelName = MODEL_NAME
    report.SoftwareVersions = software_version()
    for moment in ("Content", "InstanceCreation", "Series"):
        setattr(report, f"{moment}Date", created.strftime("%Y%m%d"))
        setattr(report, f"{moment}Time", created.strftime("%H%M%S"))
    report.CodingSchemeIdentificationSequence = [concepts.scheme_identification()]


def _asked_about(example: Example, answer: Answer) -> Sequence[ExampleInstance]:
    """The example's instances that a match answers; where there is no match, one a series."""
    named = {match.example_frame.sop_instance_uid for match in answer.matches if match.example_frame}
    return [image for image in example.instances if image.sop_instance_uid in named] or _one_a_series(example)


def _one_a_series(example: Example) -> Sequence[ExampleInstance]:
    images = (i for i in example.instances if i.is_image)
    return list({image.series_instance_uid: image for image in images}.values())
