"""An MR study of three sequences finds others by like sequences: real Orthanc, real encoder, real engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import generate_uid
from rich.console import Console

from demo.families import FAMILIES, Family, WrittenStudy, write_studies
from demo.walk import Walk
from tests.integration.conftest import ASKING, store, wait_until_indexed

pytestmark = pytest.mark.orthanc

BRAIN = next(family for family in FAMILIES if family.name == "brain-mr")
WHOLE = replace(BRAIN, name="brain-whole", series=("AX T1 SE", "AX T2 TSE", "AX FLAIR"), frames=4)
WITHOUT_FLAIR = replace(BRAIN, name="brain-without", series=("AX T1 SE", "AX T2 TSE"), frames=4)
ABDOMEN = replace(next(family for family in FAMILIES if family.name == "abdomen-ct"), frames=4)
SEQUENCES = {"AX T1 SE": "T1", "AX T2 TSE": "T2", "AX FLAIR": "FLAIR"}


@dataclass(frozen=True)
class Hospital:
    """A hospital in which these studies are indexed."""

    walk: Walk
    example: str
    whole: tuple[str, ...]
    without: str
    other_modality: str
    earlier: str
    twice: str

    def ask(self, **question: object) -> dict[str, Any]:
        client = httpx.Client(base_url=self.walk.service.url, trust_env=False, timeout=120)
        with client:
            answer = client.post("/api/search", json=question, headers=ASKING, timeout=120)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def about_the_example(self, **options: object) -> dict[str, Any]:
        return self.ask(example={"study_instance_uid": self.example}, limit=10, **options)


@pytest.fixture(scope="module")
def house(walk: Walk, console: Console, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("sequences")
    whole = list(write_studies(folder, per_family=4, families=(_drawn(WHOLE),)))
    (without,) = write_studies(folder, per_family=1, families=(_drawn(WITHOUT_FLAIR),))
    (abdomen,) = write_studies(folder, per_family=1, families=(ABDOMEN,))
    earlier = _again(whole[0], folder / "earlier", patient_id=None, study_date="20100101")
    twice = _again(whole[0], folder / "twice", patient_id="ENTERED-TWICE", study_date="20200101")
    every = [*whole, without, abdomen, earlier, twice]
    for study in every:
        store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
    wait_until_indexed(walk, console, series=3 * len(whole) + 2 + 1 + 3 + 3)
    return Hospital(
        walk=walk,
        example=whole[0].study_instance_uid,
        whole=tuple(study.study_instance_uid for study in whole[1:]),
        without=without.study_instance_uid,
        other_modality=abdomen.study_instance_uid,
        earlier=earlier.study_instance_uid,
        twice=twice.study_instance_uid,
    )


def _drawn(family: Family) -> Family:
    """The same drawings under descriptions as devices write them."""
    draw = family.draw
    return replace(family, draw=lambda rng, level, named: draw(rng, level, SEQUENCES[named]))


def _again(study: WrittenStudy, into: Path, *, patient_id: str | None, study_date: str) -> WrittenStudy:
    """The same pictures as another study, of the same patient or under another id."""
    into.mkdir()
    renamed: dict[str, str] = {}

    def new(uid: str) -> str:
        return renamed.setdefault(uid, str(generate_uid(entropy_srcs=[uid, into.name])))

    paths = []
    for path in study.paths:
        dataset = pydicom.dcmread(path)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            setattr(dataset, keyword, new(dataset[keyword].value))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyDate = study_date
        if patient_id is not None:
            dataset.PatientID, dataset.PatientName = patient_id, "Synthetic^Twice"
        paths.append(into / path.name)
        dataset.save_as(paths[-1], enforce_file_format=True)
    return WrittenStudy(study.family, new(study.study_instance_uid), tuple(paths))


def by_study(answer: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {match["study_instance_uid"]: match for match in answer["matches"]}


def test_the_example_is_known_by_its_sequences(house: Hospital) -> None:
    series = house.about_the_example()["query"]["series"]
    assert {(one["sequence"], one["plane"]) for one in series} == {
        ("T1", "AXIAL"),
        ("T2", "AXIAL"),
        ("FLAIR", "AXIAL"),
    }


def test_like_sequences_answer_one_another_and_the_answer_says_which_carried_the_match(
    house: Hospital,
) -> None:
    matches = by_study(house.about_the_example())
    for uid in house.whole:
        match, pairs = matches[uid], matches[uid]["sequences"]
        assert len(pairs) == 3
        assert all(pair["is_like"] and pair["sequence"] == pair["example_sequence"] for pair in pairs)
        assert pairs[0]["score"] == max(pair["score"] for pair in pairs)
        assert match["series_instance_uid"] == pairs[0]["series_instance_uid"]
        assert match["answers_series_instance_uid"] == pairs[0]["example_series_instance_uid"]


def test_a_study_that_lacks_a_sequence_is_found_all_the_same(house: Hospital) -> None:
    matches = by_study(house.about_the_example())
    pairs = {pair["example_sequence"]: pair for pair in matches[house.without]["sequences"]}
    assert pairs["T1"]["is_like"]
    assert pairs["T2"]["is_like"]
    assert not pairs["FLAIR"]["is_like"]
    assert pairs["FLAIR"]["sequence"] in ("T1", "T2")
    assert matches[house.without]["rank"] < matches[house.other_modality]["rank"]


def test_the_same_patient_stands_in_a_lane_of_its_own_and_who_was_entered_twice_is_flagged(
    house: Hospital,
) -> None:
    answer = house.about_the_example(same_patient=True)
    assert [match["study_instance_uid"] for match in answer["same_patient"]] == [house.earlier]
    matches = by_study(answer)
    assert house.earlier not in matches
    assert {uid for uid, match in matches.items() if match["possible_same_person"]} == {house.twice}


def test_chosen_cases_steer_and_disappear_with_and_without_an_example(house: Hospital) -> None:
    liked = {"study_instance_uid": house.whole[0]}
    unlike = {"study_instance_uid": house.other_modality}
    refined = by_study(house.about_the_example(more=[liked], less=[unlike]))
    assert set(refined) == {*house.whole[1:], house.without, house.twice}
    alone = house.ask(more=[liked], limit=3)
    assert house.whole[0] not in by_study(alone)
    assert alone["matches"][0]["answers_series_instance_uid"] is None


def test_diversity_moves_the_copy_of_a_copy_down(house: Hospital) -> None:
    liked = {"study_instance_uid": house.example}
    plain = by_study(house.ask(example={"study_instance_uid": house.whole[0]}, limit=10))
    diverse = by_study(house.ask(example={"study_instance_uid": house.whole[0]}, limit=10, diversity=0.6))
    assert plain.keys() == diverse.keys()
    last = max(diverse[uid]["rank"] for uid in (liked["study_instance_uid"], house.twice, house.earlier))
    assert last == len(diverse), "of three studies with the same pictures one is shown last"
