"""Another patient key: the old pseudonyms match nobody, and are made again from the archive."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydicom import dcmread
from rich.console import Console

from cbir.asking import LOCAL
from cbir.deployment import Deployment
from cbir.folder_index import index_folder
from cbir.local_encoder import LocalEncoder
from cbir.patient_key import rotate_patient_key
from cbir.serve import only_one
from cbir.settings import Settings
from demo.families import FAMILIES, WrittenStudy, write_studies
from indexer.errors import Rejected
from indexer.patients import key_name_of
from indexer.search import ExampleReference, Question
from inference.worker import now_utc

MODELS = Path(__file__).parents[2] / "models"
CHEST = tuple(family for family in FAMILIES if family.name == "chest-cr")


@pytest.fixture
def studies(tmp_path: Path) -> list[WrittenStudy]:
    """Three alike; the first two are of one patient."""
    written = list(write_studies(tmp_path / "folder", per_family=3, families=CHEST))
    for study, patient in zip(written, ("SAME-1", "SAME-1", "OTHER-2"), strict=True):
        for path in study.paths:
            dataset = dcmread(path)
            dataset.PatientID = patient
            dataset.save_as(path)
    return written


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", folder=tmp_path / "folder", encoders_dir=MODELS, decoders=1, lanes=1
    )


def indexed(settings: Settings) -> Mapping[str, str]:
    """Index what is due, and give the stored pseudonyms by study."""
    with Deployment(settings) as deployment:
        index_folder(deployment, Console(quiet=True), threading.Event())
        return stored(deployment)


def stored(deployment: Deployment) -> Mapping[str, str]:
    version = deployment.encoder_version
    ids = list(deployment.index.archive_ids(version))
    found = deployment.index.embeddings_by_id(version, ids).values()
    return {e.reference.study_instance_uid: e.attributes.patient or "" for e in found}


def asked(deployment: Deployment, study: WrittenStudy) -> set[str]:
    """The studies of other patients that look like this one."""
    search = deployment.search(LocalEncoder(lambda: deployment.embedder))
    example = ExampleReference(study_instance_uid=study.study_instance_uid)
    return {m.reference.study_instance_uid for m in search.similar(Question(example), LOCAL).matches}


def test_after_a_rotation_every_pseudonym_is_another_and_the_same_patient_is_still_left_out(
    settings: Settings, studies: list[WrittenStudy]
) -> None:
    one, _, other = (study.study_instance_uid for study in studies)
    before = indexed(settings)
    rotate_patient_key(settings)
    after = indexed(settings)
    assert before.keys() == after.keys() == {study.study_instance_uid for study in studies}
    assert set(before.values()).isdisjoint(after.values())
    assert after[one] == after[studies[1].study_instance_uid] != after[other]
    with Deployment(settings) as deployment:
        assert {key_name_of(patient) for patient in after.values()} == {deployment.pseudonyms.key_name}
        assert asked(deployment, studies[0]) == {other}
        assert deployment.following.reconciler().compare(now_utc()).rehashed == 0


def test_until_it_is_made_again_no_old_pseudonym_lets_the_same_patient_through(
    settings: Settings, studies: list[WrittenStudy]
) -> None:
    """The rotation was cut short: one study of the patient has the new key, the other the old one."""
    indexed(settings)
    rotate_patient_key(settings)
    with Deployment(settings) as deployment:
        assert asked(deployment, studies[0]) == {studies[2].study_instance_uid}
        first = deployment.embedder.embed_files(studies[0].paths)
        deployment.index.upsert(first)
        assert asked(deployment, studies[0]) == set()
        assert asked(deployment, studies[1]) == {studies[2].study_instance_uid}
        assert deployment.following.reconciler().compare(now_utc()).rehashed == 2


def test_the_key_is_not_rotated_under_a_running_service(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with only_one(settings), pytest.raises(Rejected, match="stop it"):
        rotate_patient_key(settings)


def test_a_configured_key_is_rotated_where_it_is_configured(settings: Settings) -> None:
    configured = settings.model_copy(update={"patient_key": type(settings.patient_key)("s" * 32)})
    with pytest.raises(Rejected, match="CBIR_PATIENT_KEY"):
        rotate_patient_key(configured)
