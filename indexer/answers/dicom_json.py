"""Matches as DICOM JSON: one dataset a match, without anything that names a patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydicom.dataset import Dataset

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.answers.links import Links
from indexer.domain import Answer, Match

MEDIA_TYPE: Final = "application/dicom+json"
PRIVATE_CREATOR: Final = "PACS-CBIR 1.0"
PRIVATE_GROUP: Final = 0x0011
SCORE_OFFSET: Final = 0x01
RANK_OFFSET: Final = 0x02
PERCENTAGE_OFFSET: Final = 0x03
PAIRS_OFFSET: Final = 0x04
POSSIBLE_SAME_PERSON_OFFSET: Final = 0x05
NOTICE: Final = "X-CBIR-Notice"
OUTCOME: Final = "X-CBIR-Outcome"


def to_dicom_json(answer: Answer, links: Links) -> list[dict[str, Any]]:
    """The matches in rank order in the DICOM JSON Model.

    Beside standard attributes each dataset has the private block (0011,10) of "PACS-CBIR 1.0":
    (0011,1001) FD the score in [-1, 1], (0011,1002) US the rank from 1, (0011,1005) CS YES or NO, whether
    another patient by its id may be the same person; and where enough pairs are known, (0011,1003) FD the
    percentage of pairs that are less alike, in [0, 100], and (0011,1004) CS which pairs: BODY_PART, MODALITY
    or ARCHIVE.

    Source:
        DICOM PS3.18 F.2 (DICOM JSON Model).
    """
    return [_dataset(match, links).to_json_dict() for match in answer.matches]


def said_of(answer: Answer) -> Mapping[str, str]:
    """What an array of datasets cannot say, as headers: the notice, and what came of the question.

    The outcome is `found`, `none-found`, or `refused; reason=` and one word in snake case.
    """
    if answer.refused is not None:
        outcome = f"refused; reason={answer.refused.reason}"
    else:
        outcome = "found" if answer.matches else "none-found"
    return {NOTICE: NOT_FOR_DIAGNOSIS, OUTCOME: outcome}


def _dataset(match: Match, links: Links) -> Dataset:
    dataset = Dataset()
    dataset.StudyInstanceUID = match.reference.study_instance_uid
    dataset.SeriesInstanceUID = match.reference.series_instance_uid
    if match.attributes.modality:
        dataset.Modality = match.attributes.modality
    if match.attributes.body_part_examined:
        dataset.BodyPartExamined = match.attributes.body_part_examined
    if match.attributes.study_date is not None:
        dataset.StudyDate = match.attributes.study_date.strftime("%Y%m%d")
    if links.retrieve_ae_title:
        dataset.RetrieveAETitle = links.retrieve_ae_title
    retrieve_url = links.retrieve_url(match)
    if retrieve_url is not None:
        dataset.RetrieveURL = retrieve_url
    dataset.ReferencedSOPSequence = [_reference(match)]
    private = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    private.add_new(SCORE_OFFSET, "FD", match.score)
    private.add_new(RANK_OFFSET, "US", match.rank)
    if match.percent is not None:
        private.add_new(PERCENTAGE_OFFSET, "FD", match.percent)
        private.add_new(PAIRS_OFFSET, "CS", match.percent_of.upper())
    private.add_new(POSSIBLE_SAME_PERSON_OFFSET, "CS", "YES" if match.possible_same_person else "NO")
    return dataset


def _reference(match: Match) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = match.frame.sop_class_uid
    item.ReferencedSOPInstanceUID = match.frame.sop_instance_uid
    item.ReferencedFrameNumber = match.frame.frame_number
    return item
