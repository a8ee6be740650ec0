from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from indexer.answers.dicom_json import said_of, to_dicom_json
from indexer.answers.links import Links
from indexer.domain import Refusal
from indexer.search.judging import REFUSED
from tests.fakes.answers import answer_about, instance, uid, write

LINKS = Links(public_url="http://pacs.example/", retrieve_ae_title="ORTHANC")


def test_a_match_is_one_dataset_of_the_dicom_json_model(tmp_path: Path) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), frames={2: 7})
    found = json.loads(json.dumps(to_dicom_json(answer, LINKS)))
    assert [item["00111002"] for item in found] == [{"vr": "US", "Value": [rank]} for rank in (1, 2, 3)]
    assert found[1]["00111001"] == {"vr": "FD", "Value": [0.8]}
    dataset = Dataset.from_json(found[1])
    assert dataset.StudyInstanceUID == uid("prior", "2")
    assert dataset.SeriesInstanceUID == uid("prior", "2", "series")
    assert (dataset.Modality, dataset.BodyPartExamined, dataset.StudyDate) == ("CT", "HEAD", "20200102")
    assert dataset.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uid("prior", "2", "instance")
    assert dataset.ReferencedSOPSequence[0].ReferencedFrameNumber == 7
    assert dataset.RetrieveAETitle == "ORTHANC"
    assert dataset.RetrieveURL == (
        f"http://pacs.example/dicom-web/studies/{uid('prior', '2')}"
        f"/series/{uid('prior', '2', 'series')}/instances/{uid('prior', '2', 'instance')}"
    )


def test_a_match_says_how_common_its_likeness_is_and_whether_it_may_be_the_same_person(
    tmp_path: Path,
) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=2)
    first, second = answer.matches
    judged = replace(
        answer,
        matches=(replace(first, percent=99.4, percent_of="modality", possible_same_person=True), second),
    )
    known, unknown = json.loads(json.dumps(to_dicom_json(judged, LINKS)))
    assert known["00111003"] == {"vr": "FD", "Value": [99.4]}
    assert known["00111004"] == {"vr": "CS", "Value": ["MODALITY"]}
    assert known["00111005"] == {"vr": "CS", "Value": ["YES"]}
    assert unknown["00111005"] == {"vr": "CS", "Value": ["NO"]}
    assert not {"00111003", "00111004"} & unknown.keys()


def test_the_headers_tell_an_answer_from_none_and_from_a_refusal(tmp_path: Path) -> None:
    paths = write(tmp_path, instance("asked"))
    found, none = answer_about(paths), answer_about(paths, matches=0)
    refused = replace(none, refused=Refusal("blank_frame", REFUSED["blank_frame"]))
    outcomes = [said_of(answer)["X-CBIR-Outcome"] for answer in (found, none, refused)]
    assert outcomes == ["found", "none-found", "refused; reason=blank_frame"]
    for answer in (found, none, refused):
        notice = said_of(answer)["X-CBIR-Notice"]
        assert notice.startswith("Not for diagnosis")
        assert notice.isascii()


def test_nothing_names_a_patient(tmp_path: Path) -> None:
    text = json.dumps(to_dicom_json(answer_about(write(tmp_path, instance("asked"))), LINKS))
    for private in ("pseudonym", "00100010", "00100020"):
        assert private not in text


def test_an_archive_without_addresses_gives_no_links(tmp_path: Path) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    [item] = to_dicom_json(answer, Links())
    assert not {"00081190", "00080054"} & item.keys()
    assert Links().viewers(answer.matches[0]) == {}


def test_a_match_opens_in_orthanc_explorer(tmp_path: Path) -> None:
    answer = answer_about(write(tmp_path, instance("asked")), matches=1)
    assert LINKS.viewers(answer.matches[0])["Orthanc Explorer"].endswith("explorer.html#series?uuid=prior-1")
