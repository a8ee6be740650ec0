"""An answer as a DICOM Comprehensive SR, filed in the example's own study."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

from indexer.answers import concepts
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
    software_version,
)
from indexer.answers.sr_content import match_group, root
from indexer.domain import Answer

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
) -> Dataset:
    """The matches, or the statement that there are none.

    Args:
        example: what was asked about; the report is filed under its patient and study.
        answer: its matches in rank order.
        question_id: the same question has the same UIDs, so that sending the report twice is harmless.
        created: local time, for Content Date and Time.
        references: "dicom" names the matches' UIDs; "opaque" leaves no UID of a match anywhere.
        retrieve_ae_title: from whom the matches' instances can be fetched; "" leaves it open.

    Source:
        DICOM PS3.16 TID 1500; PS3.3 A.35.3 (Comprehensive SR IOD).
    """
    opaque = references == "opaque"
    groups = [match_group(match, question_id, opaque=opaque) for match in answer.matches]
    comments = [OPAQUE] if opaque and groups else []
    content = root(
        outcome=concepts.FOUND if groups else concepts.NONE_FOUND,
        comments=comments if groups else [NO_PRIOR_CASE],
        library=_asked_about(example, answer),
        groups=groups,
    )
    report = _document(example, content, question_id, created)
    others = () if opaque else references_of_matches(answer, retrieve_ae_title)
    if others:
        report.PertinentOtherEvidenceSequence = evidence_sequence(others)
    return report


def refusal_report(
    example: Example, *, reason: str, message: str, question_id: str, created: datetime
) -> Dataset:
    """The statement that the question cannot be answered, and why.

    Args:
        example: what was asked about.
        reason: one word in snake case.
        message: a sentence for a person, without patient data.
        question_id: as in `similar_cases_report`.
        created: local time.
    """
    content = root(
        outcome=concepts.REFUSED,
        comments=[f"No similar cases were looked up ({reason}): {message}"],
        library=_one_a_series(example),
        groups=[],
    )
    return _document(example, content, question_id, created)


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
    images = (image for image in example.instances if not image.is_report)
    return list({image.series_instance_uid: image for image in images}.values())
