"""Questions to the API by what is in the archive, and the shape of its answers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from demo.families import WrittenStudy
from indexer.ledger import Failed
from tests.fakes.house import Furnished
from tests.indexer.api.asking import about, asked, raw, studies_of, uids
from tests.indexer.conftest import Studies

DICOM_JSON = "application/dicom+json"


def test_the_answer_has_the_shape_that_was_promised(client: httpx.Client, studies: Studies) -> None:
    answer = client.post("/api/search", json=about(studies.old("brain-mr")[0], limit=3)).json()
    assert answer.keys() == {
        "query", "encoder", "matches", "same_patient", "refused", "took_ms", "notice",
    }  # fmt: skip
    assert answer["encoder"].keys() == {"name", "sha256"}
    assert answer["notice"].startswith("Not for diagnosis")
    assert answer["query"]["limit"] == 3
    assert answer["query"]["study_instance_uid"] == studies.old("brain-mr")[0].study_instance_uid
    assert len(answer["query"]["series"]) == 2
    assert answer["took_ms"] > 0
    match = answer["matches"][0]
    assert {
        "rank", "score", "study_instance_uid", "series_instance_uid", "sop_instance_uid", "frame_number",
        "modality", "body_part_examined", "study_date", "retrieve_url", "retrieve_ae_title",
    } <= match.keys()  # fmt: skip
    assert (match["rank"], match["modality"], match["body_part_examined"]) == (1, "MR", "BRAIN")
    assert match["study_date"] == "2017-03-15" or match["study_date"] == "2016-02-15"
    assert match["retrieve_ae_title"] == "ORTHANC"
    assert match["retrieve_url"].endswith(
        f"/studies/{match['study_instance_uid']}/series/{match['series_instance_uid']}"
        f"/instances/{match['sop_instance_uid']}"
    )


@pytest.mark.parametrize("family", ["brain-mr", "chest-cr", "breast-us"])
def test_the_same_family_comes_first_and_the_own_study_never(
    client: httpx.Client, studies: Studies, family: str
) -> None:
    first, *others = studies.old(family)
    found = studies_of(client.post("/api/search", json=about(first)))
    assert set(found[: len(others)]) == uids(others)
    assert first.study_instance_uid not in found


def test_matches_are_ranked_from_one_by_falling_score(client: httpx.Client, studies: Studies) -> None:
    matches = client.post("/api/search", json=about(studies.old("spine-mr")[0])).json()["matches"]
    assert [match["rank"] for match in matches] == list(range(1, len(matches) + 1))
    scores = [match["score"] for match in matches]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


def test_a_series_an_instance_and_a_frame_are_examples_too(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    shown = client.get(f"/api/studies/{studies.old('brain-mr')[0].study_instance_uid}").json()
    series = shown["series"][0]
    frame = series["frames"][2]
    for example in (
        {"series_instance_uid": series["series_instance_uid"]},
        {"sop_instance_uid": frame["sop_instance_uid"]},
        {"sop_instance_uid": frame["sop_instance_uid"], "frame_number": 1},
    ):
        answer = client.post("/api/search", json={"example": example, "limit": 2})
        assert set(studies_of(answer)) == uids(studies.old("brain-mr")[1:])
    assert answer.json()["matches"][0]["example_sop_instance_uid"] == frame["sop_instance_uid"]


def test_filters_narrow_the_matches(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    everything = studies_of(client.post("/api/search", json=about(first, limit=50)))
    assert len(everything) == len(studies.indexed) - 1
    only_ct = client.post("/api/search", json=about(first, filters={"modality": ["ct"]}))
    assert set(studies_of(only_ct)) == uids(studies.old("abdomen-ct"))
    spine = client.post("/api/search", json=about(first, filters={"body_part_examined": ["LSPINE"]}))
    assert set(studies_of(spine)) == uids(studies.old("spine-mr"))
    days = {"study_date_from": "2016-01-01", "study_date_to": "20161231"}
    dated = client.post("/api/search", json=about(first, filters=days))
    assert {match["study_date"] for match in dated.json()["matches"]} == {"2016-02-15"}


def test_the_same_patient_is_left_out_unless_asked_for(
    empty_house: Furnished, studies: Studies, tmp_path: Path
) -> None:
    one, other = studies.old("chest-cr")[:2]
    empty_house.index_series(one.paths)
    empty_house.index_series(_as_patient_of(one, other, tmp_path))
    with asked(empty_house) as client:
        assert studies_of(client.post("/api/search", json=about(one))) == []
        answer = client.post("/api/search", json=about(one, same_patient=True))
        assert studies_of(answer) == []


def _as_patient_of(one: WrittenStudy, other: WrittenStudy, folder: Path) -> list[Path]:
    import pydicom  # noqa: PLC0415 - only here

    dataset = pydicom.dcmread(other.paths[0])
    dataset.PatientID = pydicom.dcmread(one.paths[0]).PatientID
    dataset.save_as(folder / "same.dcm")
    return [folder / "same.dcm"]


def test_dicom_json_has_one_dataset_a_match_and_names_nobody(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    plain = client.post("/api/search", json=about(first))
    answer = client.post("/api/search", json=about(first), headers={"Accept": DICOM_JSON})
    assert answer.headers["content-type"] == DICOM_JSON
    datasets = answer.json()
    assert [dataset["0020000D"]["Value"][0] for dataset in datasets] == studies_of(plain)
    assert datasets[0]["00080060"]["Value"] == ["MR"]
    assert answer.headers["x-cbir-notice"].startswith("Not for diagnosis")
    assert answer.headers["x-cbir-outcome"] == "found"
    for dataset in datasets:
        assert not {"00100010", "00100020", "00100030", "00080050"} & dataset.keys()
    assert "Synthetic" not in answer.text
    uploaded = client.post(
        "/api/search/upload",
        content=first.paths[0].read_bytes(),
        headers={"Content-Type": "application/dicom", "Accept": DICOM_JSON},
    )
    assert uploaded.headers["content-type"] == DICOM_JSON
    assert uploaded.headers["x-cbir-outcome"] == "found"


def test_dicom_json_tells_a_refusal_from_nothing_found(house: Furnished, studies: Studies) -> None:
    blank = studies.new("chest-cr")
    house.finish(house.store(blank.paths), Failed("blank_frame", "It shows nothing."))
    with asked(house) as client:
        kind = {"Accept": DICOM_JSON}
        refused = client.post("/api/search", json=about(blank), headers=kind)
        question = about(studies.old("brain-mr")[0], filters={"modality": ["XA"]})
        nothing = client.post("/api/search", json=question, headers=kind)
    assert refused.json() == nothing.json() == []
    assert refused.headers["x-cbir-outcome"] == "refused; reason=blank_frame"
    assert nothing.headers["x-cbir-outcome"] == "none-found"
    for answer in (refused, nothing):
        assert answer.headers["x-cbir-notice"].startswith("Not for diagnosis")


def test_no_answer_names_a_patient(client: httpx.Client, studies: Studies) -> None:
    first = studies.old("brain-mr")[0]
    texts = [
        client.post("/api/search", json=about(first)).text,
        raw(client, first).text,
        client.get("/api/studies").text,
        client.get(f"/api/studies/{first.study_instance_uid}").text,
        client.get("/api/series").text,
        client.get("/metrics").text,
    ]
    assert not [text for text in texts if "Synthetic" in text or "SYN-" in text]
